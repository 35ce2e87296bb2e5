"""Paths and globs inside a manifest repository. Always ``/``, always relative to its root."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_GLOB_CHARACTERS = re.compile(r"[*?\[]")
_NEVER = "(?!)"


def matches(path: str, pattern: str) -> bool:
    """Whether ``pattern`` names ``path`` itself or a directory above it.

    ``*`` and ``?`` stay within one component, ``**`` spans any number of them, ``.`` is
    the whole repository.
    """
    return matches_any(path, (pattern,))


def matches_any(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether any of the patterns matches; False for none."""
    return _compiled(patterns).match(path) is not None


def matcher(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """What `matches_any` asks, for many paths: something true where any of the patterns matches."""
    return _compiled(patterns).match


def relative_to(path: str, roots: tuple[str, ...]) -> str:
    """The path below the first directory on it that one of the patterns names; itself where none does."""
    parts = path.split("/")
    for count in range(len(parts)):
        if matches_any("/".join(parts[:count]) or ".", tuple(root for root in roots if root != ".")):
            return "/".join(parts[count:])
    return path


def literal_prefix(pattern: str) -> str:
    """The leading components of a pattern that hold no wildcard: what has to be listed."""
    parts = pattern.split("/")
    count = next((i for i, part in enumerate(parts) if _GLOB_CHARACTERS.search(part)), len(parts))
    return "/".join(parts[:count]) or "."


def glob_text(text: str, pattern: str) -> bool:
    """Whether the whole text matches a shell glob in which ``*`` spans everything, ``/`` too."""
    return _text_glob(pattern).match(text) is not None


@lru_cache(maxsize=256)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_expression, patterns)) or _NEVER, re.DOTALL)


def _expression(pattern: str) -> str:
    if pattern == ".":
        return ".*"
    return "".join(_translate(piece) for piece in _TOKENS.findall(pattern)) + r"(?:/.*)?\Z"


@lru_cache(maxsize=256)
def _text_glob(pattern: str) -> re.Pattern[str]:
    expression = "".join(".*" if piece[0] == "*" else _translate(piece) for piece in _TOKENS.findall(pattern))
    return re.compile(expression + r"\Z", re.DOTALL)


_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]|.", re.DOTALL)


def _translate(piece: str) -> str:
    if piece == "**/":
        return "(?:.*/)?"
    if piece == "**":
        return ".*"
    if piece == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece[0] == "[" and len(piece) > 2:
        return _character_class(piece[1:-1])
    return re.escape(piece)


def _character_class(inside: str) -> str:
    negated = inside[0] == "!" and len(inside) > 1
    # Escaped, but for the dash of a range: Python reads some pairs as set operations.
    members = re.sub(r"([^\w-])", r"\\\1", inside[negated:]).replace("--", r"-\-")
    expression = f"(?!/)[{'^' * negated}{members}]"
    try:
        re.compile(expression)
    except re.error:  # a range that runs backwards, as [z-a], holds nothing
        return "[^/]" if negated else _NEVER
    return expression
