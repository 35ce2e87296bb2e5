"""References in any other string: arguments, variables, annotations. Only with ``--match anywhere``.

A reference may be a piece of its string (``--image=ghcr.io/acme/api:1.4.2``,
``docker://ghcr.io/acme/api:1.4.2``); it always has a tag or a digest. ``redis:6379`` may be a
host and its port: without a ``/`` only what an ``image=`` announces counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promoter.image import ImageReference, looks_like_reference
from promoter.sites import embedded, interpolation
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, walk
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"[^\s\"'`=,;|&()<>{}]+")
_SCHEME = re.compile(r"(?:docker|oci)://")
_ANNOUNCED = re.compile(r"image[a-z0-9_.-]*[\"']?[=: ]+[\"']?\Z", re.IGNORECASE)
_LONGEST = 1024 * 1024


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """Every reference in a string that no other format has claimed, several in one with a problem."""
    documents = {scalar.event for _, scalar, _ in embedded.documents(file)}
    for place in walk(file):
        scalar = place.node
        if isinstance(scalar, Scalar) and scalar.event not in claimed and scalar.event not in documents:
            found = list(_references(scalar))
            for number, (reference, part) in enumerate(found):
                where = place.where if len(found) == 1 else f"{place.where}#{number}"
                problem = _problem(file, place, scalar, len(found))
                line = scalar.line
                if scalar.style == "|":
                    line = embedded.line_within(scalar, part.before.count("\n") + 1)
                yield Site(file.path, line, "anywhere", where, reference, (part,), problem=problem)


def _problem(file: ManifestFile, place: Place, scalar: Scalar, count: int) -> str | None:
    if count > 1:
        return f"{count} references stand in one string"
    if scalar.style != "|" and "\n" in file.text[scalar.start : scalar.end]:
        return "its string is written over several lines"
    return duplicate_problem(place.duplicate)


def _references(scalar: Scalar) -> Iterator[tuple[ImageReference, Part]]:
    text = scalar.value
    if len(text) > _LONGEST or ("/" not in text and "image" not in text.lower()):
        return
    if (default := interpolation.read(scalar)) is not None:
        yield default
        return
    for match in _WORD.finditer(text):
        word = match[0].rstrip(".:")
        scheme = _SCHEME.match(word)
        start = match.start() + (scheme.end() if scheme else 0)
        reference = looks_like_reference(word[scheme.end() :] if scheme else word)
        if reference is None or not (reference.tag or reference.digest):
            continue
        if "/" in reference.name or _ANNOUNCED.search(text[max(0, start - 80) : start]):
            yield reference, Part("reference", scalar, text[:start], text[match.start() + len(word) :])
