"""Colours for terminals, and text that cannot steer one."""

from __future__ import annotations

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


class Paint:
    """Colours, or none at all."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def __call__(self, text: str, colour: str) -> str:
        """The text, cleaned, in a colour where colours are on."""
        text = clean(text)
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._enabled else text


def clean(text: str) -> str:
    """One line without control characters: a file's name or a server could steer a terminal with them.

    Nor line breaks: a CI system takes lines that begin with ``::`` for commands.
    """
    return "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
