"""Every site of some files, whatever its image: found and shadowed as for a bump of that image. Pure.

What one file says of another's sites counts wherever both are among the files. Two steps: what
a file holds by itself, and what the files that *lead* to others make of it.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from promoter.sites import argocd, find_sites, flux, helm_values, kustomize, kustomize_build, substitute

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from promoter.sites.model import ManifestFile, Site

# Without one of these no format finds anything: such a file is not parsed.
_MAY_HOLD = re.compile(
    rb"image|repo(?!rt)|tag(?!ing)|digest|bundle|oci:|\$\{|substituteFrom|\bConfigMap\b", re.IGNORECASE
)
_LEADS = re.compile(
    b"|".join(map(re.escape, (flux.APPLIES, substitute.SUBSTITUTES, substitute.CONFIG_MAP, substitute.USES)))
    + rb"|kind[\"']?:\s*[\"']?Application"
)


def may_hold(path: str, content: bytes) -> bool:
    """Whether a file may hold sites, or tell of those of others: what need not be parsed otherwise."""
    is_leading = kustomize.is_kustomization(path) or flux.APPLIES in content
    return is_leading or _MAY_HOLD.search(content) is not None


def leads(path: str, content: bytes) -> bool:
    """Whether a file may say which sites of other files are shadowed, or what their variables hold."""
    named = kustomize.is_kustomization(path) or argocd.is_source_file(path)
    return named or _LEADS.search(content) is not None


def every_site(read: Mapping[str, ManifestFile], contents: Mapping[str, bytes]) -> list[Site]:
    """The sites of all files, shadowed ones marked.

    ``contents`` are the files with their bytes, ``read`` those of them that may hold sites.
    """

    def bases(path: str) -> list[ManifestFile]:
        return [read[one] for one in base_files(path, contents[path], contents) if one in read]

    found = {path: find_sites(file, more=from_bases(file, bases(path))) for path, file in read.items()}
    leading = {path: file for path, file in read.items() if leads(path, contents[path])}
    return settled(found, leading)


def base_files(path: str, content: bytes, existing: Container[str]) -> list[str]:
    """The files that may name the images of a values file, those that win first; told without parsing."""
    return helm_values.bases(path, existing) if helm_values.may_override(path, content) else []


def from_bases(file: ManifestFile, bases: Sequence[ManifestFile]) -> list[Site]:
    """The sites of a values file whose image its base files name."""
    return list(helm_values.find(file, bases)) if bases and helm_values.has_lone_version(file) else []


def settled(found: Mapping[str, list[Site]], leading: Mapping[str, ManifestFile]) -> list[Site]:
    """The sites of some files, with what the leading ones make of them.

    They add the sites that are values of Flux's variables, and shadow those that they override.
    """
    kustomizations = [file for path, file in leading.items() if kustomize.is_kustomization(path)]
    reach_of = kustomize_build.reach({posixpath.dirname(file.path): file for file in kustomizations}.get)
    setters = substitute.setters_by_file(leading.values(), reach_of)
    setting = [setter for own in setters.values() for setter in own]
    known = (
        substitute.uses(leading.values(), [site for own in found.values() for site in own]) if setters else ()
    )
    sites: list[Site] = []
    for path, own in found.items():
        more = substitute.sites_of(setters.get(path, ()), known)
        sites += find_sites(leading[path], more=more) if more else own
    sites = [substitute.settled(site, setting) for site in sites]
    sites = argocd.shadow(sites, leading.values())
    overlays = [one for file in leading.values() for one in flux.overlays(file)]
    return kustomize_build.shadow(sites, kustomizations, overlays)
