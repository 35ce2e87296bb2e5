"""Which kustomizations and charts may lead to a changed file, told by their text. Pure.

A repository may hold thousands of them, and only a few are on the way to what an edit changes:
only these are parsed. Whatever looks like a path counts; too many are named rather than one too few.
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

_PATH = re.compile(r"[A-Za-z0-9._/+@~-]+")
# Escapes hide names, the configurations of plugins name files in turn, and a chart's home its charts.
_UNCLEAR = (b"\\", b"\0", b"generators", b"transformers", b"validators", b"elm")
_LOCAL = "file://"


def leading_to(changed: Iterable[str], leads: Mapping[str, bytes], listing: Listing) -> frozenset[str]:
    """Those of ``leads``, kustomizations and files that describe charts, that may lead to a changed file.

    The changed ones among them are there too.
    """
    naming: dict[str, list[str]] = defaultdict(list)
    waiting = list(changed)
    for path, content in leads.items():
        if any(text in content for text in _UNCLEAR):
            waiting.append(path)
        for one in _meant(path, content):
            naming[one].append(path)
    found: set[str] = set()
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        if file in leads:
            found.add(file)
        further = [one for target in _targets(file) for one in _naming(target, naming, leads)]
        for one in (*further, *_charts_above(file, listing)):
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return frozenset(found)


def _meant(path: str, content: bytes) -> set[str]:
    """Everything in a text that looks like a path, as a path in the repository."""
    here = posixpath.dirname(path)
    text = content.decode("utf-8", "surrogateescape").replace(_LOCAL, " ")
    return {_normal(f"{here}/{written}" if here else written) for written in set(_PATH.findall(text))}


def _normal(path: str) -> str:
    if "./" in path or "//" in path or path.endswith(("/", "/.", "/..")) or path in (".", ".."):
        path = posixpath.normpath(path)
    return "" if path == "." else path


def _targets(file: str) -> list[str]:
    """By which paths a file is meant: its own, or that of the directory that it stands for."""
    directory, name = posixpath.split(file)
    stands_for_directory = name in KUSTOMIZATIONS or name in (CHART, REQUIREMENTS)
    return [file, directory] if stands_for_directory else [file]


def _naming(target: str, naming: Mapping[str, list[str]], leads: Mapping[str, bytes]) -> Iterable[str]:
    if target and not _PATH.fullmatch(target):
        return leads  # who knows how it is written
    return naming.get(target, ())


def _charts_above(file: str, listing: Listing) -> list[str]:
    """The charts that a file is a part of."""
    parts = file.split("/")[:-1]
    directories = ("/".join(parts[:count]) for count in range(len(parts) + 1))
    return [chart for one in directories if (chart := listing.chart(one)) is not None]
