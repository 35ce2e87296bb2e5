"""Text that others wrote, kept from being a command to the CI system that reads the log.

GitHub's runner takes two forms from either stream (actions/runner, ``ActionCommand.cs``): ``::name …::``
at the start of a line, blanks aside, and ``##[name …]`` anywhere in one. Azure Pipelines has
``##vso[…]`` and TeamCity ``##teamcity[…]``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_AT_LINE_START = re.compile(r"(?:^|(?<=\r))([^\S\n]*):(?=:)", re.MULTILINE)
_ANYWHERE = re.compile(r"#(?=#[a-z]*\[)", re.IGNORECASE)
_IN_JSON = re.compile(r"(##[a-z]*)\[", re.IGNORECASE)


def reads_commands(environ: Mapping[str, str]) -> bool:
    """Whether the job's log is searched for commands."""
    return (
        environ.get("GITHUB_ACTIONS") == "true"
        or environ.get("TF_BUILD", "").lower() == "true"
        or bool(environ.get("TEAMCITY_VERSION"))
    )


def without_commands(text: str) -> str:
    """The text with a blank inside of what would be read as a command."""
    return _ANYWHERE.sub("# ", _AT_LINE_START.sub(r"\1: ", text))


def json_without_commands(document: str) -> str:
    """A JSON document that means the same and holds no command."""
    return _IN_JSON.sub(r"\1\\u005b", document)
