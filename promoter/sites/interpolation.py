"""References with variables that have defaults: ``${VAR:-ghcr.io/acme/api:1.4.2}``; the default is edited.

The forms of the Compose specification, "Interpolation": ``${VAR:-default}`` and
``${VAR-default}``, nested ones too; shells and Flux know ``:=`` and ``=`` as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promoter.image import ImageReference, looks_like_reference
from promoter.sites.model import Part

if TYPE_CHECKING:
    from promoter.yamltext import Scalar

_EMPTY = re.compile(r"((?:\$\{[A-Za-z_][A-Za-z0-9_]*:?[-=])+)(\}+)")
_TOKEN = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?[-=]|\}|\$|[^$}]")


def read(scalar: Scalar) -> tuple[ImageReference, Part] | None:
    """The reference that the defaults make, and the part of the scalar that an edit replaces.

    None where a variable has no default, and where name and version cannot be told apart
    in the text.
    """
    text = scalar.value
    places = _places(text) if "${" in text else None
    reference = looks_like_reference("".join(text[one] for one in places)) if places else None
    if reference is None or not places:
        return None
    if _adjoin(places):
        return reference, Part("reference", scalar, text[: places[0]], text[places[-1] + 1 :])
    version = places[len(reference.name) + 1 :]
    if not version or not _adjoin(version):
        return None
    before, after = text[: version[0]], text[version[-1] + 1 :]
    return reference, Part("tag" if reference.tag else "digest", scalar, before, after)


def read_default(text: str) -> tuple[str, str, str] | None:
    """What a field says when every variable in it takes its default, and the text before and after that.

    None where a variable has no default, and where the text is in pieces.
    """
    places = _places(text)
    if places == [] and (empty := _EMPTY.fullmatch(text)):
        return "", empty[1], empty[2]
    if not places or not _adjoin(places):
        return None
    start, end = places[0], places[-1] + 1
    return text[start:end], text[:start], text[end:]


def _places(text: str) -> list[int] | None:
    """Where the characters stand that remain when every variable takes its default."""
    places: list[int] = []
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] == "$" or (token[0] == "}" and depth == 0):
            return None
        if token[0] == "}":
            depth -= 1
        elif len(token[0]) > 1:
            depth += 1
        else:
            places.append(token.start())
    return None if depth else places


def _adjoin(places: list[int]) -> bool:
    return places[-1] - places[0] == len(places) - 1
