r"""Text that others wrote, made to do nothing where a forge shows it: no mention, no link, no command.

What forges read out of text, and where:

* Closing keywords. GitHub: close/fix/resolve with a reference, in descriptions and commit
  messages (docs.github.com, "Linking a pull request to an issue"). GitLab: the pattern of
  docs.gitlab.com, "Issue closing pattern", run over the *raw* title, description and commit
  messages (its ``ClosingIssueExtractor``): there a code span is no shelter. Gitea: the words
  of its ``repository.pull-request`` settings, in titles, commit messages and, without code,
  descriptions (its ``modules/references``), reopening ones too.
* Mentions and references (``@name``, ``#1``, ``!1``, ``%1``, ``~label``, ``$1``, ``&1``, ``^alert#1``,
  URLs, commit ids): docs.github.com, "Autolinked references and URLs"; docs.gitlab.com, "GitLab
  Flavored Markdown", "GitLab-specific references". None of the three reads them in code.
* Quick actions: lines that begin with ``/word`` in GitLab's descriptions (docs.gitlab.com,
  "GitLab quick actions").
* ``[skip ci]`` and the like in commit messages (docs.github.com, "Skipping workflow runs";
  docs.gitlab.com, "CI/CD pipelines", "Skip a pipeline").

So what is Markdown goes into code, and in any text an invisible word joiner (U+2060) breaks
what would still be read. Readers of trailers take it away again: `restored`. Commit ids
outside of code stay: history is searched by them, and a link to a commit tells nobody.
"""

from __future__ import annotations

import re

JOINER = "\u2060"

# Not only as a word of its own: GitLab's pattern once took the end of one, and is configurable.
_KEYWORD = r"(?:clos|fix|resolv|implement|reopen)(?:e[sd]?|s|ed|ing)?(?![A-Za-z0-9])"
# What a keyword can refer to: #1, !1, group/project#1, GH-1, PROJECT-1, [issue:1], a URL.
_REFERENCE = r":?\s+(?:issues?\s+)?\S*(?:[#!\[]|://|-[0-9])"
_CLOSES = re.compile(rf"{_KEYWORD}(?={_REFERENCE})", re.IGNORECASE)
_MAY_CLOSE = re.compile(rf"{_KEYWORD}(?={_REFERENCE})|(?<![A-Za-z0-9]){_KEYWORD}(?=:?\s*\Z)", re.IGNORECASE)
_COMMENT = re.compile(r"<(?=!--)")
# Each match is what a joiner shall follow.
_MENTION = re.compile(r"(?<![A-Za-z0-9])@(?=[\w-])")  # not name@domain, not tag@sha256:…
_REFERS_TO = re.compile(r"[#!%~$&^](?=[\w\"'])")
_ALONE = re.compile(r"(?<!\w)[#!%~$&^](?=[\w\"'])")
_URL = re.compile(r":(?=//)|(?<![A-Za-z0-9])www(?=\.)", re.IGNORECASE)
_MARKUP = re.compile(
    r"<(?=[A-Za-z/!?])|!(?=\[)|\](?=[(\[])|\[(?=\[|[a-z_]+:|[\w ]*\b(?:ci|skip|actions)\b)", re.IGNORECASE
)
_LONGEST_SHOWN = 400

_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/%+=&?,:-]*)?")
_NO_LINK = re.compile(
    r"/(?:issues|pull|pulls|merge_requests|work_items|epics|discussions|milestones)(?:/|\Z)"
)


def is_url(text: str | None) -> bool:
    """Whether the text is an http(s) URL and nothing else, so that Markdown can link to it."""
    return text is not None and _LINK.fullmatch(text) is not None


def is_link(text: str | None) -> bool:
    """Whether the text is a URL that may be a link as it stands: it refers to no issue or pull request."""
    return text is not None and is_url(text) and _NO_LINK.search(text) is None


def plain(text: str, *, closing: bool = True) -> str:
    """One line for where no Markdown is read, or where it must not matter: titles, commit messages, trailers.

    ``closing`` says that what follows the text is not known, so that a keyword at its very
    end is broken too.
    """
    line = (_MAY_CLOSE if closing else _CLOSES).sub(_broken_word, one_line(text))
    for read in (_MENTION, _MARKUP, _REFERS_TO, _URL):
        line = read.sub(_joined, line)
    return JOINER + line if line.startswith("/") else line


def compared(text: str, *, urls: bool = False) -> str:
    """`plain` for what later runs compare: a number that hangs on a word stays (``pipeline#12``, ``a%2Fb``).

    That alone calls nobody and closes nothing. ``urls`` says that these stay too.
    """
    line = _CLOSES.sub(_broken_word, one_line(text))
    for read in (_MENTION, _MARKUP, _ALONE, *(() if urls else (_URL,))):
        line = read.sub(_joined, line)
    return line


def restored(text: str) -> str:
    """What `plain` was given, but for its blanks and what cannot be read."""
    return text.replace(JOINER, "")


def code(text: str, *, cell: bool = False) -> str:
    """A code span, shortened where it is long; with ``cell`` one for a table.

    Spans end at a run of as many backticks as they begin with (CommonMark, "Code spans");
    in tables a pipe is escaped even there (GitHub Flavored Markdown, "Tables").
    """
    line = one_line(text)
    if len(line) > _LONGEST_SHOWN:
        line = line[: _LONGEST_SHOWN - 1] + "…"
    line = _broken(line)
    if cell:
        # Parsers differ in what a backslash before an escaped pipe means.
        line = line.replace("\\|", f"\\{JOINER}|").replace("|", "\\|")
    fence = "`" * (_longest_run(line) + 1)
    blank = " " if not line.strip(" ") or line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{blank}{line or JOINER}{blank}{fence}"


def block(lines: list[str], language: str = "") -> str:
    """A fenced code block; no line of it begins with a slash or is three hyphens."""
    shown = [_broken(_readable(line.rstrip("\r\n"))) for line in lines]
    shown = [f" {line}" if line.startswith("/") or line.strip() == "---" else line for line in shown]
    fence = "`" * max(3, _longest_run("\n".join(shown)) + 1)
    return "\n".join([f"{fence}{language}", *shown, fence])


def one_line(text: str) -> str:
    """The text on one line, without control and other invisible characters."""
    return _readable(" ".join(text.replace(JOINER, "").split()))


def _readable(line: str) -> str:
    """Also against characters that reorder what is shown (CVE-2021-42574)."""
    shown = line.replace(JOINER, "")
    return "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in shown)


def _broken(line: str) -> str:
    """What is read even in code."""
    return _COMMENT.sub(_joined, _CLOSES.sub(_broken_word, line))


def _joined(match: re.Match[str]) -> str:
    return match[0] + JOINER


def _broken_word(match: re.Match[str]) -> str:
    return match[0][0] + JOINER + match[0][1:]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
