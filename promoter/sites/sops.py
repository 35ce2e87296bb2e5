"""Files that SOPS has encrypted: its MAC covers plain values too.

Source: getsops.io/docs, "Message Authentication Code" and ``--mac-only-encrypted``; the
metadata stand in a top-level ``sops`` mapping, encrypted values read ``ENC[…]``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.yamltext import Mapping

if TYPE_CHECKING:
    from promoter.sites.model import ManifestFile, Site

_ENCRYPTED = "ENC["


def guard(file: ManifestFile, sites: list[Site]) -> list[Site]:
    """The sites of a file; those that an edit would spoil have a problem."""
    if "sops" not in file.text:
        return sites
    metadata = [
        sops
        for root in file.documents
        if isinstance(root, Mapping) and isinstance(sops := yamltext.get(root, "sops"), Mapping)
    ]
    signed = [one for one in metadata if yamltext.scalar_value(yamltext.get(one, "mac"))]
    if not signed:
        return sites
    whole = any(yamltext.scalar_value(yamltext.get(one, "mac_only_encrypted")) != "true" for one in signed)
    return [_guarded(site, mac_covers_plain=whole) for site in sites]


def _guarded(site: Site, *, mac_covers_plain: bool) -> Site:
    values = [part.scalar.value for part in site.parts] + [scalar.value for scalar in site.within]
    if any(value.startswith(_ENCRYPTED) for value in values):
        return replace(site, problem="SOPS has encrypted this value; edit with sops")
    if mac_covers_plain:
        return replace(site, problem="SOPS has signed this file: its MAC covers this value; edit with sops")
    return site
