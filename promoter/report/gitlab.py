"""What a job of GitLab CI/CD is told: a dotenv report, and sections of the log that fold.

docs.gitlab.com, "dotenv variables" and "GitLab CI/CD artifacts reports types": UTF-8, names of ASCII
letters, digits and underscores, one line a variable, no empty lines, no comments, less than
5 KB, no quotes and no escapes; the fewest variables that a plan allows are 20. In later jobs
``$NAME`` inside a value is replaced, as in any variable ("Where variables can be used").
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from promoter.outcome import Outcome

_LONGEST_VALUE = 1000  # two of these and all the short ones stay below 5 KB
_VALUE = re.compile(r"[A-Za-z0-9._~/%+=&?,:@#-]*")


def dotenv(values: Mapping[str, str]) -> str:
    """The report: ``PROMOTION_`` and the names in capitals.

    A value that could mean more than itself in a later job is left empty; ``promotion.json``
    has it.
    """
    return "".join(
        f"PROMOTION_{name.upper().replace('-', '_')}={_plain(value)}\n" for name, value in values.items()
    )


def _plain(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE and _VALUE.fullmatch(value) else ""


def fold(name: str, title: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines as a section of the log that folds ("CI/CD job logs", "Custom collapsible sections")."""
    listed = list(lines)
    if listed:
        yield f"\x1b[0Ksection_start:{int(time.time())}:promoter_{name}\r\x1b[0K{clean(title)}"
        yield from listed
        yield f"\x1b[0Ksection_end:{int(time.time())}:promoter_{name}\r\x1b[0K"


def links(outcome: Outcome) -> str:
    """The pull requests, where people look last."""
    return "".join(f"pull request: {clean(one.url)}\n" for one in outcome.pull_requests if one.url)
