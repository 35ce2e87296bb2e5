"""From a site and a wanted reference to the new text of its file. Pure.

A site keeps its style: it gets a digest where it holds one, or where ``pin`` asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference
from promoter.sites.model import split_tag
from promoter.yamltext import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promoter.sites.model import ManifestFile, Part, Site

Version = tuple[str | None, str | None]  # tag, digest


@dataclass(frozen=True, slots=True)
class Style:
    """What the caller wants of digests: neither keeps the style of each site."""

    pin: bool = False
    drop_digest: bool = False


class StyleError(Exception):
    """The wanted reference does not fit what the site holds; the text says what would."""


def current(site: Site) -> Version:
    """The tag and digest that the site holds, as its readers resolve them."""
    return site.reference.tag, site.reference.digest


def desired(site: Site, wanted: ImageReference, style: Style) -> Version:
    """The tag and digest that the site shall hold to express ``wanted`` in its own style.

    Raises StyleError where that would leave a digest, or a tag, of another image behind.
    """
    tag, digest = current(site)
    if wanted.tag is None:
        return _desired_digest_only(wanted, tag, digest, style)
    if style.drop_digest:
        return wanted.tag, None
    if digest is None:
        return wanted.tag, wanted.digest if style.pin else None
    if wanted.digest is not None:
        return (wanted.tag if tag is not None else None), wanted.digest
    if tag == wanted.tag:
        return tag, digest
    raise StyleError(
        "the site pins a digest and the new tag comes without one: give the digest (NAME:TAG@DIGEST), "
        "or --drop-digest"
    )


def _desired_digest_only(
    wanted: ImageReference, tag: str | None, digest: str | None, style: Style
) -> Version:
    if tag is not None:
        raise StyleError("the site holds a tag and the wanted image has none: give the tag (NAME:TAG@DIGEST)")
    if digest is None and not style.pin:
        raise StyleError("the site holds no digest: add --pin to write one")
    return None, wanted.digest


def replacements(site: Site, version: Version) -> list[Replacement]:
    """The scalars of the site that have to change to hold ``version``; none where it stands."""
    tag, digest = version
    roles = {part.role: part for part in site.parts}
    if "reference" in roles:
        wanted = [(roles["reference"], str(ImageReference(site.reference.name, tag, digest)))]
    elif "tag" not in roles:
        wanted = [(roles["digest"], digest or "")]
    else:
        wanted = _field_values(roles["tag"], roles.get("digest"), tag, digest)
    return [
        Replacement(part.scalar, value)
        for part, value in wanted
        if yamltext.resolved_text(part.scalar) != value
    ]


def _field_values(
    tag_part: Part, digest_part: Part | None, tag: str | None, digest: str | None
) -> list[tuple[Part, str]]:
    """A digest goes to its own key where there is one, else behind the tag."""
    inline = split_tag(tag_part.scalar.value)[1] is not None
    if digest_part is None or inline:
        joined = "@".join((tag or "", digest)) if digest else tag or ""
        values = [(tag_part, joined)]
        if digest_part is not None and digest_part.scalar.value:
            values.append((digest_part, digest or ""))
        return values
    return [(tag_part, tag or ""), (digest_part, digest or "")]


def edit_file(file: ManifestFile, edits: Iterable[tuple[Site, Version]]) -> bytes:
    """The new bytes of a file. Raises yamltext.EditError; nothing else than the sites differs."""
    wanted: dict[int, Replacement] = {}
    for site, version in edits:
        for replacement in replacements(site, version):
            other = wanted.setdefault(replacement.scalar.event, replacement)
            if other.value != replacement.value:
                raise yamltext.EditError(
                    f"line {replacement.scalar.line} is shared by an alias and would have to hold two values"
                )
    return file.encode(yamltext.splice(file.text, list(wanted.values())))
