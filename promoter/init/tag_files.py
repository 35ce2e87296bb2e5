"""Folders of files that hold a tag and no image: what ``targets`` would say of them. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.image import looks_like_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MOST_BYTES = 4096
_LINE = re.compile(r"\s*(?:#.*)?|(?P<key>[A-Za-z0-9_.-]+):\s+(?P<value>\S.*?)\s*(?:\s#.*)?")
_TAG_KEY = re.compile(r"(?:.*[_.-])?[Tt]ag|.*Tag")
_TAG = re.compile(r"\"?'?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'?\"?")


@dataclass(frozen=True)
class TagFiles:
    """Files like ``file``, where ``{environment}`` and ``{app}`` stand for names; ``tag`` is the key.

    ``image`` is the image's name with ``{app}`` in it, None where nothing in the repository tells it.
    """

    file: str
    tag: str
    image: str | None


def may_be_one(path: str) -> bool:
    """Whether a file that is no manifest by its name may be one of these."""
    return "." not in path.rpartition("/")[2]


def find(
    files: Mapping[str, bytes], environments: Iterable[str], images: Iterable[str], held: Iterable[str]
) -> list[TagFiles]:
    """The kinds of tag files among these; ``held`` are the files whose tags have images already.

    ``images`` are the names that the repository knows.
    """
    names, known, taken = list(environments), Counter(images), set(held)
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, content in files.items():
        key = key_of(content) if path not in taken else None
        parts = path.split("/")
        at = next((index for index, part in enumerate(parts[:-1]) if part in names), None)
        if key is not None and at is not None:
            stem, dot, ending = parts[-1].partition(".")
            template = "/".join([*parts[:at], "{environment}", *parts[at + 1 : -1], f"{{app}}{dot}{ending}"])
            found[template, key].add(stem)
    return [TagFiles(template, key, _image(apps, known)) for (template, key), apps in sorted(found.items())]


def key_of(content: bytes) -> str | None:
    """The key that holds the tag, where a file is a flat mapping with one."""
    if len(content) > _MOST_BYTES:
        return None
    try:
        lines = [_LINE.fullmatch(line) for line in content.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        return None
    if not all(lines):
        return None
    pairs = [(line["key"], line["value"]) for line in lines if line and line["key"]]
    tags = [key for key, value in pairs if _TAG_KEY.fullmatch(key) and _TAG.fullmatch(value)]
    return tags[0] if len(tags) == 1 else None


def _image(apps: set[str], known: Counter[str]) -> str | None:
    """How the images of these apps are called, if all that is known of them agrees."""
    templates = {
        f"{name[: -len(app)]}{{app}}"
        for app in apps
        for name in known
        if name.rpartition("/")[2] == app and looks_like_reference(name)
    }
    return templates.pop() if len(templates) == 1 else None
