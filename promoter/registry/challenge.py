"""``WWW-Authenticate``: what a registry asks for before it answers. Pure.

RFC 9110 §11.6.1 for the header, distribution's "Token Authentication Specification" for Bearer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 8192
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - RFC 9110's word for a word
# A name alone is a scheme, a name with a value a parameter of the scheme before it.
_PART = re.compile(rf'({_TOKEN})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN})))?')


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate; ``scheme`` and the names of the parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of the header, of several ones joined by commas too."""
    found: list[tuple[str, dict[str, str]]] = []
    for part in _PART.finditer(header[:_LONGEST]):
        name, quoted, plain = part.group(1).lower(), part.group(2), part.group(3)
        if quoted is None and plain is None:
            found.append((name, {}))
        elif found:
            found[-1][1].setdefault(name, plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)
