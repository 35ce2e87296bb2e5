"""Images that are named where an edit does not reach them, and why. Pure.

A mention is text that names an image which has a site somewhere in the tree, an image in a
comment, a whole reference in any other string, or a value under an image key that something
else fills in or has encrypted.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from promoter import templates
from promoter.image import looks_like_reference
from promoter.outcome import Mention
from promoter.sites import LINE_BREAK, embedded, explained_lines, find_sites
from promoter.sites.formats import EVERYWHERE, FORMATS
from promoter.sites.model import ManifestFile, UnreadableFileError, walk
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.image import ImageReference
    from promoter.sites.model import Place

_COMMENT = "in a comment"
_ACTION = "built from a template action"
_VARIABLE = "built from a variable"
_WATCHED = "an updater watches this image: not deployed"
_ENCRYPTED = "SOPS has encrypted this value"

_PIECE = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_WORD = re.compile(rf"{_PIECE}(?:[/:@]{_PIECE})+")
_IMAGE_LINE = re.compile(r"^[\s#-]*[\"']?[\w.-]*image[\"']?\s*:\s*[\"']?([^\s\"']+)", re.IGNORECASE)
_BUILT_LINE = re.compile(r"^[\s-]*[\"']?[\w.-]*image[\"']?\s*:\s*[^#]*\{\{", re.IGNORECASE)
_VERSION = re.compile(r"\d|latest")
_SPEAKS = re.compile(r"image|repo|registry|name", re.IGNORECASE)
_LONGEST = 120
# Without one of these nothing in a file is built from actions or variables, or encrypted.
_MAY_BE_FILLED_IN = re.compile(r"\$[{(]|\{\{|ENC\[|\\")


class Names:
    """The images that have a site: what a word must name to be a mention."""

    def __init__(self, references: Iterable[ImageReference]) -> None:
        named = [reference for reference in references if reference.name]
        self._keys = {reference.key for reference in named}
        self._texts = {reference.search_text for reference in named}

    def hold(self, reference: ImageReference, line: str) -> bool:
        """Whether the word on this line is one of these images, or a whole reference to another one.

        The registry may stand elsewhere, unless the word names it.
        """
        if reference.names_registry:
            return reference.key in self._keys or _is_whole(reference)
        version = reference.tag or reference.digest
        if "/" not in reference.name:
            return reference.search_text in self._texts and bool(version) and "image" in line.lower()
        return reference.search_text in self._texts and bool(version or _SPEAKS.search(line))


def _is_whole(reference: ImageReference) -> bool:
    return bool(reference.digest or (reference.tag and _VERSION.search(reference.tag)))


def find(
    path: str,
    data: bytes,
    file: ManifestFile | UnreadableFileError | None,
    names: Names,
    held: set[int],
) -> Iterator[Mention]:
    """The mentions in one file, one a line. ``held`` are the lines that its sites are written on."""
    text = file.text if isinstance(file, ManifestFile) else data.decode("utf-8-sig", "replace")
    lines = LINE_BREAK.split(text)
    words = [word for word in _words(text, lines, names) if word[0] not in held]
    told = {number: why for number, why in _told_by_lines(lines, file) if number not in held}
    filled: dict[int, str] = {}
    if isinstance(file, ManifestFile):
        for number, why in _filled_in_elsewhere(file) if _MAY_BE_FILLED_IN.search(text) else ():
            if number not in held:
                filled.setdefault(number, why)
    if not (words or told or filled):
        return
    watched: dict[int, str] = {}
    explained = held
    if isinstance(file, ManifestFile):
        # What formats explain besides the sites: looked for only where it matters.
        naming = {number for number, *_ in words}
        watched = dict.fromkeys(sorted(explained_lines(file, FORMATS[:1]) & naming), _WATCHED)
        explained = explained_lines(file)
    loose = _Loose(file if isinstance(file, ManifestFile) else None)
    reasons = {number: why for number, why in filled.items() if number not in explained}
    for number, start, end, reference in words:
        if number not in explained and number not in reasons:
            reasons[number] = _why(text, start, end, reference, loose, number)
    reasons = {number: why for number, why in told.items() if number not in explained} | reasons | watched
    if isinstance(file, UnreadableFileError):
        place = f" (line {file.line})" if file.line else ""
        reasons = dict.fromkeys(reasons, f"the file cannot be read: {file.why}{place}")
    for number, why in sorted(reasons.items()):
        yield Mention(path, number, lines[number - 1].strip()[:_LONGEST], why)


def _told_by_lines(
    lines: list[str], file: ManifestFile | UnreadableFileError | None
) -> Iterator[tuple[int, str]]:
    """The lines that tell by themselves why the image on them is no site."""
    for number, line in enumerate(lines, 1):
        if "{{" in line and _BUILT_LINE.match(line):
            yield number, _ACTION
        elif _holds_an_image(line, file):
            yield number, _COMMENT


class _Loose:
    """The lines whose references ``--match anywhere`` would edit; looked for where it matters."""

    def __init__(self, file: ManifestFile | None) -> None:
        self._file = file
        self._lines: dict[int, str | None] | None = None

    def why(self, line: int) -> str | None:
        """Why a plain edit leaves a reference of this line; None where nothing finds it there."""
        if self._file is None:
            return None
        if self._lines is None:
            sites = find_sites(self._file, formats=EVERYWHERE)
            self._lines = {site.line: site.problem for site in sites if site.format == "anywhere"}
        if line not in self._lines:
            return None
        return self._lines[line] or "not under a key that speaks of an image: --match anywhere edits it"


def _words(text: str, lines: list[str], names: Names) -> Iterator[tuple[int, int, int, ImageReference]]:
    """The words that name one of the images: line, start, end, and how they read."""
    starts = [0, *(match.end() for match in LINE_BREAK.finditer(text))]
    for match in _WORD.finditer(text):
        word = match[0].rstrip(".:-_+")
        reference = looks_like_reference(word)
        if reference is None or _is_within_another(text, match.start(), match.start() + len(word)):
            continue
        number = bisect_right(starts, match.start())
        if names.hold(reference, lines[number - 1]):
            yield number, match.start(), match.start() + len(word), reference


def _is_within_another(text: str, start: int, end: int) -> bool:
    """Whether this is a piece of an address, of a path, or of another name."""
    before = text[max(0, start - 9) : start]
    if before.endswith("://"):
        return not before.endswith(("docker://", "oci://"))
    if before.endswith("/"):
        return not before.endswith("}/")
    return before.endswith(("@", "-", ".")) or text[end : end + 1] == "/"


def _why(text: str, start: int, end: int, reference: ImageReference, loose: _Loose, line: int) -> str:
    before = text[text.rfind("\n", 0, start) + 1 : start]
    if before.lstrip().startswith("#") or " #" in before:
        return _COMMENT
    after = text[end : end + 3].lstrip(":@")
    if after.startswith("{{") or before.rstrip("/:").endswith("}}"):
        return _ACTION
    if after.startswith("$") or before.rstrip("/:").endswith("}"):
        return _VARIABLE
    if reference.tag or reference.digest:
        return loose.why(line) or "a part of another text"
    return "only its name: the version stands elsewhere"


def _holds_an_image(line: str, file: ManifestFile | UnreadableFileError | None) -> bool:
    """Whether the line is an image that is commented out, or any in a file that cannot be read."""
    is_comment = line.lstrip().startswith("#")
    match = _IMAGE_LINE.match(line) if is_comment or isinstance(file, UnreadableFileError) else None
    reference = looks_like_reference(match[1]) if match else None
    return reference is not None and bool(reference.tag or reference.digest)


# --- values that something else fills in ------------------------------------------------------


def _filled_in_elsewhere(file: ManifestFile, level: int = 0) -> Iterator[tuple[int, str]]:
    """Values under image keys that are built from actions or variables, or encrypted."""
    for place in walk(file):
        scalar = place.node
        why = _told_by_value(place, scalar.value) if isinstance(scalar, Scalar) else None
        if why is not None and isinstance(scalar, Scalar):
            yield scalar.line, why
    for _, scalar, inner in embedded.documents(file) if level < embedded.MAX_LEVELS else ():
        for line, why in _filled_in_elsewhere(inner, level + 1):
            yield embedded.line_within(scalar, line), why


def _told_by_value(place: Place, value: str) -> str | None:
    keys = [key.lower() for key in place.keys[-2:]]
    if value.startswith("ENC["):
        return _ENCRYPTED if any("image" in key and "pull" not in key for key in keys) else None
    if not keys or not keys[-1].endswith("image") or "\n" in value:
        return None
    if templates.FILLER in value or "{{" in value:
        return _ACTION
    return _VARIABLE if "${" in value or "$(" in value else None
