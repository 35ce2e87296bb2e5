"""Where the schemas of validation stand, in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """The path of a shipped file or folder below ``schemas``."""
    inside = _PACKAGE / "schemas" / name  # a wheel has them in the package, a checkout beside it
    return inside if inside.exists() else _PACKAGE.parent / "schemas" / name
