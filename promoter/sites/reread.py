"""Read a file again that differs from a known version by nothing but tags and digests. Pure.

A long list of images is changed one tag at a time, thousands of times. Where the text around
the versions is the same, and these are plain enough to be read without a parser, the sites are
the same ones. Whatever else differs, the file has to be parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from promoter import yamltext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promoter.sites.model import Part, Role, Site

_TAG, _DIGEST = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", r"sha256:[0-9a-f]{64}"
_VALUE = {
    "tag": re.compile(f"(?P<tag>{_TAG})"),
    "digest": re.compile(f"(?P<digest>{_DIGEST})"),
    "reference": re.compile(
        r"(?P<name>[a-z0-9][A-Za-z0-9._/-]*+(?::[0-9]++/[a-z0-9._/-]++)?)"
        rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
    ),
}
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")

Version = tuple[str | None, str | None]  # tag, digest


class _Held(NamedTuple):
    """A value in its line, from column to column, and the site (by number) that it is of."""

    start: int
    end: int
    quote: str
    role: Role
    number: int


@dataclass(frozen=True, slots=True)
class Template:
    """A version of a file: its lines, and the values in them, by line from 0."""

    lines: tuple[str, ...]
    held: Mapping[int, tuple[_Held, ...]]
    names: tuple[str, ...]


def template(text: str, sites: Iterable[Site]) -> Template | None:
    """What other versions of a file can be compared with; None for one with line breaks of other kinds."""
    if _OTHER_BREAKS.search(text):
        return None
    lines = tuple(text.split("\n"))
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    held: dict[int, list[_Held]] = {}
    listed = list(sites)
    for number, site in enumerate(listed):
        for part in site.parts if not site.within and not site.problem else ():
            line = part.scalar.line - 1
            start, end = part.scalar.start - starts[line], part.scalar.end - starts[line]
            quote = part.scalar.style if part.scalar.style in ("'", '"') else ""
            if _is_simple(site, part) and lines[line][start:end] == f"{quote}{part.scalar.value}{quote}":
                held.setdefault(line, []).append(_Held(start, end, quote, part.role, number))
    by_line = {line: tuple(sorted(those)) for line, those in held.items()}
    return Template(lines, by_line, tuple(site.reference.name for site in listed))


def _is_simple(site: Site, part: Part) -> bool:
    """Whether the scalar says exactly the tag, the digest or the reference, and nothing around it."""
    reference = site.reference
    said = {"tag": reference.tag, "digest": reference.digest, "reference": str(reference)}.get(part.role)
    return said == part.scalar.value and not (part.before or part.after or part.implied)


def reread(
    known: Template, versions: Sequence[Version], before: str, after: str
) -> tuple[Version, ...] | None:
    """What the sites hold in another version of the file; None where it has to be parsed.

    ``before`` differs from the template's text by such values alone, ``versions`` are those.
    """
    old, new = before.split("\n"), after.split("\n")
    if len(old) != len(new):
        return None
    found = list(versions)
    for number, (one, other) in enumerate(zip(old, new, strict=True)):
        if one != other and not _read_line(known, number, other, found):
            return None
    return tuple(found)


def _read_line(known: Template, number: int, line: str, found: list[Version]) -> bool:
    """Take over what a line holds; False where it is another line than the template's."""
    written, at, read = known.lines[number], 0, 0
    span: tuple[int, int] | None = None
    text = ""
    for held in known.held.get(number, ()):
        if span != (held.start, held.end):  # else another site of the same value
            around = written[read : held.start] + held.quote
            match = _VALUE[held.role].match(line, at + len(around)) if line.startswith(around, at) else None
            if match is None or not line.startswith(held.quote, match.end()):
                return False
            text = match[0]
            at, read, span = match.end() + len(held.quote), held.end, (held.start, held.end)
        version = _version(held, text, known.names[held.number], found[held.number])
        if version is None:
            return False
        found[held.number] = version
    return span is not None and line[at:] == written[read:]


def _version(held: _Held, text: str, name: str, present: Version) -> Version | None:
    """The version of a site that holds this value now; None where a parser has to tell."""
    match = _VALUE[held.role].fullmatch(text)
    if match is None or not (held.quote or yamltext.reads_as_string(text)):
        return None
    said = {"name": name, "tag": present[0], "digest": present[1], **match.groupdict()}
    version = said["tag"], said["digest"]
    is_alike = said["name"] == name and [one is None for one in version] == [one is None for one in present]
    return version if is_alike else None
