"""Where the JSON Schemas that promoter ships stand, in a wheel and in a checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent


def read_schema(name: str) -> dict[str, Any]:
    """Return ``<name>.schema.json``.

    Raises:
        FileNotFoundError: no such schema was shipped, which is a bug.
    """
    # A wheel holds the schemas inside the package; a checkout (or an editable install) beside it.
    for folder in (_PACKAGE / "schemas", _PACKAGE.parent / "schemas"):
        file = folder / f"{name}.schema.json"
        if file.is_file():
            schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return schema
    raise FileNotFoundError(f"promoter ships no schema called {name!r}")
