"""From a site and a wanted reference to the new text of its file. Pure.

A site keeps its style: it gets a digest where it holds one, or where ``pin`` asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import templates, yamltext
from promoter.image import ImageReference
from promoter.sites import kustomize_create
from promoter.sites.model import split_tag
from promoter.yamltext import Replacement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from promoter.options import Style
    from promoter.sites.model import ManifestFile, Part, Site
    from promoter.yamltext import Scalar

Version = tuple[str | None, str | None]  # tag, digest


class StyleError(Exception):
    """The wanted reference does not fit what the site holds; the text says what would."""


def current(site: Site) -> Version:
    """The tag and digest that the site holds, as its readers resolve them."""
    return site.reference.tag, site.reference.digest


def desired(site: Site, wanted: ImageReference, style: Style) -> Version:
    """The tag and digest that the site shall hold to express ``wanted`` in its own style.

    Raises StyleError where that would leave a digest, or a tag, of another image behind.
    """
    tag, digest = _desired(site, wanted, style)
    has_place = not site.parts or any(part.role in ("reference", "tag") for part in site.parts)
    if has_place or tag in (None, site.reference.tag):
        return tag, digest
    if digest is None:
        raise StyleError("the site has a place for a digest alone and none for a tag: give the digest")
    return None, digest


def _desired(site: Site, wanted: ImageReference, style: Style) -> Version:
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
        name = site.new_name or site.reference.name
        wanted = [(roles["reference"], str(ImageReference(name, tag, digest)))]
    elif "tag" not in roles:
        wanted = [(roles["digest"], digest or "")]
    else:
        wanted = _field_values(roles["tag"], roles.get("digest"), tag, digest)
    if site.new_name and "name" in roles:
        wanted.append((roles["name"], site.new_name))
    texts = [(part.scalar, _text(part, value)) for part, value in wanted]
    return [Replacement(scalar, text) for scalar, text in texts if _present(scalar) != text]


def obstacle(site: Site, version: Version) -> str:
    """Why the site's scalars cannot be written, empty where they can: what is known without the file."""
    if site.is_new:
        return ""
    if any(outer.style == ">" for outer in site.within):
        return "the document around it stands in a folded block scalar"
    try:
        changed = replacements(site, version)
    except yamltext.EditError as error:
        return str(error)
    is_folded = any(replacement.scalar.style == ">" for replacement in changed)
    return "the value stands in a folded block scalar" if is_folded else ""


def _text(part: Part, value: str) -> str:
    """The whole text of the scalar around a new value."""
    if value and not value.startswith(part.implied):
        raise yamltext.EditError(f"its readers put {part.implied!r} before it")
    return part.before + value.removeprefix(part.implied) + part.after


def _present(scalar: Scalar) -> str:
    """What the scalar says; ``null`` says as little as an empty text."""
    return "" if yamltext.is_null(scalar) else yamltext.resolved_text(scalar)


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
    view = templates.mask if file.is_template else str
    listed = list(edits)
    text = _edited(file.text, [(site, version) for site, version in listed if not site.is_new], 0, view)
    for site, (tag, digest) in listed:
        if site.is_new:
            text = kustomize_create.add_image(text, site.reference.name, tag, digest)
    return file.encode(text)


def _edited(text: str, edits: list[tuple[Site, Version]], depth: int, view: Callable[[str], str]) -> str:
    """The text with its own sites edited, and those of the documents embedded in its scalars."""
    wanted: dict[int, Replacement] = {}
    embedded: dict[int, list[tuple[Site, Version]]] = {}
    for site, version in edits:
        if len(site.within) > depth:
            embedded.setdefault(site.within[depth].event, []).append((site, version))
            continue
        for replacement in replacements(site, version):
            _add(wanted, replacement)
    for inner in embedded.values():
        outer = inner[0][0].within[depth]
        if outer.style != "|" and "\n" in text[outer.start : outer.end]:
            raise yamltext.EditError("the document around it is written over several lines")
        view_inside = templates.view_of(outer.value)
        _add(wanted, Replacement(outer, _edited(outer.value, inner, depth + 1, view_inside)))
    return yamltext.splice(text, list(wanted.values()), view)


def _add(wanted: dict[int, Replacement], replacement: Replacement) -> None:
    other = wanted.setdefault(replacement.scalar.event, replacement)
    if other.value != replacement.value:
        raise yamltext.EditError(
            f"line {replacement.scalar.line} is shared by an alias and would have to hold two values"
        )
