"""Go template actions (``{{ … }}``) masked by fillers of the same length, so that YAML can be parsed.

The places of everything else stay exact: an edit found in the masked text is made in the
original. A line that holds nothing but actions becomes a comment; an action within a line
becomes filler characters that no image reference can hold, so that a reference built from
an action is never taken for a literal one. Syntax: Go's text/template documentation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promoter import yamltext

if TYPE_CHECKING:
    from collections.abc import Callable

# A private-use character: YAML allows it in plain scalars, no image reference, tag or digest has it.
FILLER = "\ue000"

_LONGEST_ACTION = 4096
_COMMENT = re.compile(r"\{\{(?:-\s)?/\*")
# Strings and comments may hold braces. Possessive: an unterminated one ends the search at once.
_INSIDE = re.compile(
    r'"(?:[^"\\\n]|\\.)*+"|`[^`]*+`|/\*(?:[^*]|\*(?!/))*+\*/|(?P<end>\}\})|[^"`}/]++|.', re.DOTALL
)


def has_actions(text: str) -> bool:
    """Whether the text may be a template."""
    return "{{" in text


def view_of(text: str) -> Callable[[str], str]:
    """How the text can be parsed: as it is, or masked where it has actions that YAML cannot read."""
    if has_actions(text):
        try:
            yamltext.parse(text)
        except yamltext.YamlTextError:
            return mask
    return str


def mask(text: str) -> str:
    """The text with every action masked; character for character as long, with the same lines."""
    pieces = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = _end_of_action(text, start)
        if end is None:
            break  # no template: the parser will say what it thinks of the rest
        pieces.append(text[position:start])
        filler = " " if _COMMENT.match(text, start, end) else FILLER  # a comment leaves nothing behind
        pieces.append("".join(one if one in "\r\n" else filler for one in text[start:end]))
        position = end
    lines = "".join([*pieces, text[position:]]).splitlines(keepends=True)
    return "".join(_as_comment(line) if _only_filler(line) else line for line in lines)


def _end_of_action(text: str, start: int) -> int | None:
    for piece in _INSIDE.finditer(text, start + 2, start + _LONGEST_ACTION):
        if piece["end"]:
            return piece.end()
    return None


def _only_filler(line: str) -> bool:
    stripped = line.strip(" \t\r\n")
    return FILLER in stripped and not stripped.strip(FILLER + " \t")


def _as_comment(line: str) -> str:
    start = line.index(FILLER)
    return f"{line[:start]}#{line[start + 1 :]}"
