"""Which kustomizations and charts may lead to a changed file, told by their text. Pure.

A repository may hold thousands of them, and only a few are on the way to what an edit changes:
only these are parsed. Too many are named rather than one too few.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from promoter.validate.listing import CHART, KUSTOMIZATIONS, REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promoter.validate.listing import Listing

_NAME = re.compile(rb"[A-Za-z0-9._-]+")
# A path that ends in `..` does not tell the name of what it means.
_UPWARD = re.compile(rb"\.\./?(?![A-Za-z0-9_./-])")
# Escapes hide names, and the configurations of plugins name files in turn.
_UNCLEAR = (b"\\", b"\0", b"generators", b"transformers", b"validators")


def leading_to(changed: Iterable[str], leads: Mapping[str, bytes], listing: Listing) -> frozenset[str]:
    """Those of ``leads``, kustomizations and files that describe charts, that may lead to a changed file.

    The changed ones among them are there too.
    """
    naming: dict[bytes, list[str]] = defaultdict(list)
    waiting = list(changed)
    for path, content in leads.items():
        for name in set(_NAME.findall(content)):
            naming[name].append(path)
        if any(text in content for text in _UNCLEAR) or _UPWARD.search(content):
            waiting.append(path)
    found: set[str] = set()
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        if file in leads:
            found.add(file)
        further = [one for name in _names(file) for one in _naming(name, naming, leads)]
        for one in (*further, *_charts_above(file, listing)):
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return frozenset(found)


def _names(file: str) -> list[str]:
    """What a text that means the file has in it: its name, or that of the directory that it stands for."""
    directory, name = posixpath.split(file)
    stands_for_directory = name in (*KUSTOMIZATIONS, CHART, REQUIREMENTS)
    return [name, *([posixpath.basename(directory)] if stands_for_directory and directory else [])]


def _naming(name: str, naming: Mapping[bytes, list[str]], leads: Mapping[str, bytes]) -> Iterable[str]:
    raw = name.encode("utf-8", "surrogateescape")
    if _NAME.fullmatch(raw):
        return naming.get(raw, ())
    if any(character.isspace() for character in name):
        return leads  # it may be written over two lines
    return [path for path, content in leads.items() if raw in content]


def _charts_above(file: str, listing: Listing) -> list[str]:
    """The charts that a file is a part of."""
    parts = file.split("/")[:-1]
    directories = ("/".join(parts[:count]) for count in range(len(parts) + 1))
    return [chart for one in directories if (chart := listing.chart(one)) is not None]
