"""The small languages inside configuration values: paths, placeholders, key paths, ``requires``, branches.

Those of freezes are in ``config.times``, those of validation in ``config.validate_grammar``.

A check raises ValueError with a message that quotes the text and says what was expected;
the caller knows the place.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KeyPath = tuple[str | int | tuple[str, str], ...]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shorten(text: str) -> str:
    """Quote text for a message, escaped, on one line and short: it may be a MiB long."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def repository_path(text: str) -> str:
    """Return a path or glob in the one spelling that the program uses: ``a/b``, or ``.``.

    Raises:
        ValueError: the text is empty or could mean something outside the repository's tree.
    """
    if not text:
        raise ValueError("'' is empty; write \".\" for the whole repository")
    if _CONTROL.search(text):
        raise ValueError(f"{shorten(text)} holds a control character")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or (parts and parts[0].startswith("\\")):
        raise ValueError(f"{shorten(text)} is absolute; paths start at the root of the repository")
    if ".." in parts:
        raise ValueError(f"{shorten(text)} has a '..' component; paths stay inside the repository")
    # Git refuses such a name in any case, because of file systems that ignore it.
    if any(part.lower() == ".git" for part in parts):
        raise ValueError(f"{shorten(text)} has a '.git' component, which Git never tracks")
    return "/".join(parts) or "."


def check_placeholders(text: str) -> None:
    """Accept text whose braces are ``{environment}`` or ``{app}`` only.

    Raises:
        ValueError: there is another placeholder, or a brace alone.
    """
    rest = re.sub(r"\{(?:environment|app)\}", "", text)
    wrong = re.search(r"\{[^{}]*\}|[{}]", rest)
    if wrong:
        raise ValueError(
            f"{shorten(text)} holds {shorten(wrong.group())}; only {{environment}} and {{app}} are filled in"
        )


TITLE_PLACEHOLDERS = ("app", "apps", "environment", "image", "images", "tag", "revision", "actor")
BODY_PLACEHOLDERS = (
    *TITLE_PLACEHOLDERS,
    *("run", "changes", "sources", "notes", "warnings", "findings", "gates", "diff", "help"),
)


def check_title(text: str) -> None:
    """Accept a template of one line whose placeholders are all known.

    Raises:
        ValueError: there is another placeholder, or a second line.
    """
    if _CONTROL.search(text.strip()) or not text.strip():
        raise ValueError(f"{shorten(text)} is not one line of text")
    _check_known(text, TITLE_PLACEHOLDERS)


def check_body(text: str) -> None:
    """Accept a template whose placeholders are all known.

    Raises:
        ValueError: there is another placeholder.
    """
    _check_known(text, BODY_PLACEHOLDERS)


def _check_known(text: str, known: tuple[str, ...]) -> None:
    wrong = next((name for name in re.findall(r"\{([\w-]+)\}", text) if name not in known), None)
    if wrong is not None:
        names = ", ".join(f"{{{name}}}" for name in known)
        raise ValueError(f"{{{wrong}}} is not filled in; known here: {names}")


def check_text(text: str) -> None:
    """Accept one line of readable text without blanks around it.

    Raises:
        ValueError: the text has another form.
    """
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{shorten(text)} is not a name: it has blanks around it or unreadable characters")


# git-check-ref-format(1): what no branch's name can hold.
_NOT_IN_BRANCH = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(?:\A|/)\.|\.lock(?:/|\Z)|\A[-/]|/\Z|\Arefs/"
)
_LONGEST_PREFIX = 100
_LONGEST_BRANCH = 244  # a lock file's name must fit into 255 bytes, below refs/heads


def check_branch_prefix(text: str) -> None:
    """Accept what may stand before ``/environment/app`` in a branch's name, by git-check-ref-format(1).

    Raises:
        ValueError: the text has another form.
    """
    if not text.isprintable() or not text or _NOT_IN_BRANCH.search(text) or len(text) > _LONGEST_PREFIX:
        raise ValueError(
            f"{shorten(text)} cannot begin a branch's name; expected what git-check-ref-format allows, "
            "e.g. promoter or bots/promoter"
        )


def check_branch(text: str) -> None:
    """Accept the short name of a branch, by git-check-ref-format(1).

    Raises:
        ValueError: the text has another form.
    """
    wrong = not text.isprintable() or not text or _NOT_IN_BRANCH.search(text) or text.endswith(".")
    if wrong or text == "@" or len(text) > _LONGEST_BRANCH:
        raise ValueError(f"{shorten(text)} is no name of a branch; expected e.g. main or release/1.4")


_QUOTED = r'"(?:[^"\\]|\\["\\])+"'
_STEP = re.compile(
    rf"""(?P<dot>\.)?(?P<key>{_QUOTED}|[^\s.\[\]"]+)
    | \[(?P<index>[0-9]{{1,6}})\]
    | \[(?P<field>{_QUOTED}|[^\s=\[\]"]+)=(?P<value>{_QUOTED}|[^\s=\[\]"]+)\]""",
    re.VERBOSE,
)


def parse_key_path(text: str) -> KeyPath:
    r"""Return the steps of a key path: a key as str, an index as int, a list item as (key, value).

    ``images[name=api].newTag`` is ``("images", ("name", "api"), "newTag")``. A key, field or
    value that holds dots, brackets, an equals sign or spaces stands in double quotes, inside
    which ``\"`` and ``\\`` are a quote and a backslash. Fill placeholders into the steps, never
    into the text: an app's name may hold a dot.

    Raises:
        ValueError: the text does not follow that grammar; the message names the place in it.
    """
    steps: list[str | int | tuple[str, str]] = []
    at = 0
    while at < len(text) or not steps:
        step = _STEP.match(text, at)
        # Dots join: before every key but the first step.
        if not step or (step["key"] and bool(step["dot"]) != bool(steps)):
            raise ValueError(
                f"{shorten(text)} is not a key path at character {at + 1}; "
                "expected keys joined by dots, [0] or [name=api], and double quotes around other keys"
            )
        if step["index"]:
            steps.append(int(step["index"]))
        elif step["field"]:
            steps.append((_unquote(step["field"]), _unquote(step["value"])))
        else:
            steps.append(_unquote(step["key"]))
        at = step.end()
    return tuple(steps)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith('"') else text


_AUTHOR = re.compile(r"[^<>\x00-\x1f\x7f]*[^<>\s\x00-\x1f\x7f] <[^<>\s\x00-\x1f\x7f]+>")


def check_author(text: str) -> None:
    """Accept ``Name <address>``, the only form that Git's commits can hold.

    Raises:
        ValueError: the text has another form.
    """
    if not _AUTHOR.fullmatch(text):
        raise ValueError(f'{shorten(text)} is not an author; expected "Name <address>"')


_COMPARISONS: dict[str, Callable[[list[int], list[int]], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([0-9]{1,9}(?:\.[0-9]{1,9}){0,9})\s*")


def unsatisfied(requires: str, version: str) -> str | None:
    """Return the first clause of ``requires`` that a version does not satisfy, or None.

    Only the version's release numbers count: 1.2.0rc1 already has what 1.2 brings.

    Raises:
        ValueError: ``requires`` is not a comma-separated list of comparisons.
    """
    clauses = [_CLAUSE.fullmatch(clause) for clause in requires.split(",")]
    for clause in clauses:
        if clause is None:
            raise ValueError(
                f'{shorten(requires)} is not a list of versions; expected e.g. ">=1.0" or ">=1.2,<2"'
            )
    release = re.match(r"[0-9.]+", version)
    have = _numbers(release[0] if release else "0")
    for clause in clauses:
        if clause and not _COMPARISONS[clause[1]](have, _numbers(clause[2])):
            return clause[1] + clause[2]
    return None


def _numbers(version: str) -> list[int]:
    """``1.0`` equals ``1``: trailing zeros go."""
    numbers = [int(part) for part in version.split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
