"""What a tag says about its version, and which of two tags is the newer one.

A tag is read as a row of *parts* between separators: one release number with its pre-release, one date
stamp, build numbers, commit ids and words. Only tags of the same shape (the same words around the same
kinds of numbers) are compared; everything else is left to the build order, because a wrong "newer" moves an
environment backwards while "not known" does not. Rules: DESIGN §8; the line of a tag: DESIGN §7.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

Order = Literal["auto", "semver", "number", "timestamp", "source", "none"]
Role = Literal["release", "pre", "calendar", "epoch", "stamp", "number", "build", "commit", "word"]

_LONGEST_TAG = 128  # of the OCI distribution specification; nothing longer can be a tag
_BUILD_DIGITS = 6  # longer runs of digits are stamps or commit ids that happen to have no letter
_COMMIT_DIGITS = 40
_SEMVER_COMPONENTS = 3
_YEARS = range(1970, 2100)  # eight digits outside these years are a commit sooner than a date

_END = r"(?![^-_.+~])"
_PRE_WORDS = "alpha|beta|rc|pre|dev|snapshot"
# The number may be attached (rc1), dotted (rc.1, rc.1.2) or a part of its own (rc-1). Detached ones are
# short, so that a stamp or a commit after the word is still read as what it is.
_PRE_TEXT = (
    rf"(?P<word>{_PRE_WORDS})"
    rf"(?P<numbers>[0-9]{{1,18}}(?:\.[0-9]{{1,6}}{_END})*"
    rf"|(?:\.[0-9]{{1,6}}{_END})+|[-_][0-9]{{1,6}}{_END}(?!\.[0-9]))?{_END}"
)
_SEPARATORS = re.compile(r"[-_.+~]+")
_V = re.compile(r"[vV](?=[0-9])")
_PRE = re.compile(_PRE_TEXT, re.IGNORECASE)
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt][0-9]{2}[-.:]?[0-9]{2}(?:[-.:]?[0-9]{2})?[Zz]?|[-_][0-9]{2}[-.:][0-9]{2}[-.:][0-9]{2})?"
    rf"{_END}|[0-9]{{8}}[Tt][0-9]{{4}}(?:[0-9]{{2}})?[Zz]?{_END}"
)
_NUMBERS = re.compile(
    rf"[0-9]+(?:\.[0-9]+)*(?:{_END}|(?=(?:{_PRE_WORDS})(?:[0-9]|{_END})))",
    re.IGNORECASE,
)
_COMMIT = re.compile(rf"(?:g(?=[0-9a-f]{{7}}))?(?P<id>[0-9a-f]{{7,40}}){_END}", re.IGNORECASE)
# A dotted number that hangs on a word ("alpine3.18") belongs to the word.
_WORD = re.compile(rf"[^-_.+~]*[0-9](?:\.[0-9]{{1,6}}{_END})+|[^-_.+~]+")
_LAST_DIGITS = re.compile(r"[0-9]+(?=[^0-9]*\Z)")


@dataclass(frozen=True)
class Version:
    """The comparable content of a tag.

    `shape` is what two tags must share to be comparable; then `release`, `pre`, `stamp` and `builds` decide
    in this order. `ids` tells builds of one version apart without ordering them (commit ids, mostly).
    """

    shape: tuple[str, ...]
    release: tuple[int, ...] = ()
    pre: tuple[str, tuple[int, ...]] | None = None
    stamp: int = 0
    builds: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    role: Role
    text: str  # a stamp's digits, a number without its "v", a commit in lower case
    separator: str  # what stands before it
    end: int


def parse_version(tag: str, order: Order = "auto") -> Version | None:
    """What can be compared of the tag under this order, or None when nothing can."""
    if order in ("source", "none") or len(tag) > _LONGEST_TAG:
        return None
    if order == "number":
        return _number(tag)
    version = _from_parts(_parts(tag))
    if order == "semver":
        return _only_release(version)
    if order == "timestamp":
        return _only_stamp(version)
    return version if version.release or version.stamp or version.builds else None


def compare(a: str, b: str, order: Order = "auto") -> int | None:
    """-1 when `a` is older than `b`, 1 when it is newer, 0 when equal, None when versions do not tell."""
    if a == b:
        return 0
    left, right = parse_version(a, order), parse_version(b, order)
    if left is None or right is None or left.shape != right.shape:
        return None
    if left.release != right.release:
        return _sign(left.release < right.release)
    if left.pre != right.pre:
        return _compare_pre(left.pre, right.pre)
    rest, other = (left.stamp, left.builds), (right.stamp, right.builds)
    if rest != other:
        return _sign(rest < other)
    # Two builds of one version: only their commits differ, and those have no order.
    return 0 if left.ids == right.ids else None


def line_of(tag: str) -> str:
    """The words around the version: what stays the same from one build of a line to the next (DESIGN §7).

    Beside a date stamp a dotted number names the line (`22.04-20240903`); alone it is the version.
    """
    parts = _parts(tag)
    kept: set[Role] = {"word", "release"} if any(p.role == "stamp" for p in parts) else {"word"}
    line = ""
    follows = False  # whether the part before was kept too: then its separator says something ("1.29")
    for part in parts:
        if part.role in kept:
            joint = part.separator if part.separator in ("", ".") else "-"
            line += (joint if follows else "-") + part.text if line else part.text
        follows = part.role in kept
    return line


def _sign(older: bool) -> int:
    return -1 if older else 1


def _compare_pre(a: tuple[str, tuple[int, ...]] | None, b: tuple[str, tuple[int, ...]] | None) -> int | None:
    """Semver precedence for the words that have one; `a` and `b` differ.

    Ecosystems disagree where dev, pre and snapshot stand beside alpha, beta and rc, so these are compared to
    themselves and to the release only.
    """
    if a is None or b is None:
        return _sign(b is None)
    if a[0] == b[0]:
        return _sign(a[1] < b[1])
    ladder = ("alpha", "beta", "rc")
    if a[0] in ladder and b[0] in ladder:
        return _sign(ladder.index(a[0]) < ladder.index(b[0]))
    return None


def _number(tag: str) -> Version | None:
    """`order: number`: the last run of digits counts, in tags whose other text is equal."""
    found = _LAST_DIGITS.search(tag)
    if found is None:
        return None
    before = tag[1 if _V.match(tag) else 0 : found.start()]
    return Version(shape=(before, tag[found.end() :]), builds=(int(found.group()),))


def _only_release(version: Version) -> Version | None:
    """`order: semver`: stamps, build numbers and commits name builds and order nothing."""
    if not version.release:
        return None
    shape = tuple(mark for mark in version.shape if mark[0] in "=#")
    ids = (str(version.stamp), *map(str, version.builds), *version.ids)
    return Version(shape=shape, release=version.release, pre=version.pre, ids=ids)


def _only_stamp(version: Version) -> Version | None:
    """`order: timestamp`: everything but the stamp names a build and orders nothing."""
    if not version.stamp:
        return None
    shape = tuple(mark for mark in version.shape if mark[0] == "@")
    return Version(shape=shape, stamp=version.stamp, ids=(repr(replace(version, stamp=0)),))


def _from_parts(parts: list[_Part]) -> Version:
    shape: list[str] = []
    release: tuple[int, ...] = ()
    pre: tuple[str, tuple[int, ...]] | None = None
    stamp = 0
    for part in parts:
        if part.role == "release":
            release = _integers(part.text)
            shape.append(f"#{len(release)}")
        elif part.role == "pre":
            pre = _pre(part.text)
        elif part.role == "stamp":
            stamp = int(part.text)
            shape.append(f"@{len(part.text)}")
        elif part.role == "build":
            shape.append("%")
        elif part.role == "word":
            shape.append(f"={part.text}")
    return Version(
        shape=tuple(shape),
        release=release,
        pre=pre,
        stamp=stamp,
        builds=tuple(int(part.text) for part in parts if part.role == "build"),
        ids=tuple(part.text for part in parts if part.role == "commit"),
    )


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in text.split("."))


def _pre(text: str) -> tuple[str, tuple[int, ...]]:
    digits = re.findall(r"[0-9]+", text)
    word = re.split(r"[-_.0-9]", text, maxsplit=1)[0].lower()
    return word, tuple(int(run) for run in digits)


def _parts(tag: str) -> list[_Part]:
    """The parts of a tag with their final roles: at most one release, one pre-release and one stamp."""
    parts = list(_scan(tag))
    stamp = _stamp_index(parts)
    result: list[_Part] = []
    before: Role = "word"  # the role before, commits aside
    last = max((i for i, part in enumerate(parts) if _role(part, i == stamp) != "commit"), default=-1)
    for i, part in enumerate(parts):
        role = _role(part, i == stamp)
        if role == "number":
            # A number that ends the tag, or follows the version or its stamp (a time of day, too), counts
            # builds; any other one belongs to the words around it.
            counts = i == last or before in ("release", "pre", "stamp", "build")
            role = "build" if counts else "word"
        result.append(replace(part, role=role))
        before = before if role == "commit" else role
    return result


def _role(part: _Part, is_stamp: bool) -> Role:
    """A stamp that was not chosen is a commit id without a letter."""
    if part.role not in ("calendar", "epoch"):
        return part.role
    return "stamp" if is_stamp else "commit"


def _stamp_index(parts: list[_Part]) -> int:
    """Which part is the stamp: the first that reads as a date, else the last that may be an epoch.

    A ten-digit commit id may have no letter, and stands after the date (`v20240903-1234567890-1.29`) but
    before the epoch (`main-1234567890-1700000000`).
    """
    calendars = [i for i, part in enumerate(parts) if part.role == "calendar"]
    epochs = [i for i, part in enumerate(parts) if part.role == "epoch"]
    return calendars[0] if calendars else epochs[-1] if epochs else -1


def _scan(tag: str) -> Iterator[_Part]:
    """The parts from left to right; a stamp is still `calendar` or `epoch`, a build number `number`."""
    seen: set[Role] = set()
    role: Role | None = None
    position = 0
    while True:
        gap = _SEPARATORS.match(tag, position)
        separator = gap.group() if gap else ""
        position += len(separator)
        if position >= len(tag):
            return
        pre = _PRE.match(tag, position) if role == "release" else None
        if pre:
            part = _Part("pre", pre.group(), separator, pre.end())
        else:
            part = _next_part(tag, position, separator, seen)
        yield part
        role, position = part.role, part.end
        seen.add(role)


def _next_part(tag: str, position: int, separator: str, seen: set[Role]) -> _Part:
    start = position + 1 if _V.match(tag, position) else position
    if found := _DATE_TIME.match(tag, start):
        digits = re.sub(r"[^0-9]", "", found.group())
        if _is_calendar(digits):
            return _Part("calendar", digits, separator, found.end())
    if found := _NUMBERS.match(tag, start):
        text = _numbers_that_belong(found.group())
        return _Part(_number_role(text, seen), text, separator, start + len(text))
    if found := _COMMIT.match(tag, start):
        return _Part("commit", found["id"].lower(), separator, found.end())
    found = _WORD.match(tag, position)
    end = found.end() if found else len(tag)
    return _Part("word", tag[position:end], separator, end)


def _numbers_that_belong(text: str) -> str:
    """The dotted number at the front: without a stamp or a commit id that dots join to it.

    The three numbers of a semver version may be of any length (a CI run id as the patch number).
    """
    components = text.split(".")
    if len(components[0]) > _BUILD_DIGITS:
        return components[0]
    for i, digits in enumerate(components):
        is_long = len(digits) > _BUILD_DIGITS
        if is_long and (_is_calendar(digits) or i >= _SEMVER_COMPONENTS):
            return ".".join(components[:i])
    return text


def _number_role(text: str, seen: set[Role]) -> Role:
    if "." in text:
        # Behind a stamp or another version it tells variants apart: `v20240903-6a352c5344-1.29`.
        return "word" if seen & {"release", "calendar", "epoch"} else "release"
    if len(text) > _BUILD_DIGITS:
        return _long_number_role(text)
    return "number" if seen else "release"


def _long_number_role(digits: str) -> Role:
    """Seven digits and more: a stamp where they can be one, else a commit id, never a number."""
    if _is_calendar(digits):
        return "calendar"
    if len(digits) in (10, 13) and digits[0] != "0":
        return "epoch"
    return "commit" if len(digits) <= _COMMIT_DIGITS else "word"


def _is_calendar(digits: str) -> bool:
    """Whether this is YYYYMMDD, YYYYMMDDhhmm or YYYYMMDDhhmmss of a day and time that exist."""
    if len(digits) not in (8, 12, 14) or int(digits[:4]) not in _YEARS:
        return False
    fields = (*(int(digits[i : i + 2]) for i in range(4, len(digits), 2)), 0, 0, 0)
    month, day, hour, minute, second = fields[:5]
    try:
        datetime(int(digits[:4]), month, day, hour, minute, second)
    except ValueError:
        return False
    return True
