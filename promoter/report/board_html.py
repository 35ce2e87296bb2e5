"""The board as one HTML file that needs nothing else and nobody: no request, no inline handler.

The whole table stands in the HTML; ``board.js`` adds search, filters and sorting. A
``Content-Security-Policy`` by hash (CSP Level 3, "script-src") lets exactly these two
files' text run, so that even text that escaped its escaping could not.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from promoter import __version__
from promoter.report import board_words as words
from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from promoter.outcome import Outcome
    from promoter.overview.board import Board, Cell, Column, Proposed, Row, Standing

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 11h3v3H2zM6.5 6.5h3V14h-3zM11 2h3v12h-3z' fill='%233b6fb5'/%3E%3C/svg%3E"
)
_FILTERS = (
    ("drift", "Drift", words.differs),
    ("canary", "Canary", words.is_canary),
    ("held", "Held", words.is_held),
    ("proposed", "Open promotion", words.is_proposed),
)


def render(board: Board) -> str:
    """The page. Everything that others wrote is escaped and without control characters."""
    style, script = _packaged("board.css"), _packaged("board.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f'<meta name="generator" content="promoter {__version__}">',
        f'<link rel="icon" href="{_ICON}">',
        f"<title>What runs where: {_text(board.repository)}</title>",
        f"<style>{style}</style>\n</head>\n<body>",
        _header(board),
        "<main>",
        _tools(board),
        *_table(board),
        f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def render_outcome(outcome: Outcome) -> str:
    """The page of a run's board; nothing of a run that failed: an old page is better than an empty one."""
    return render(outcome.board) if outcome.board is not None else ""


def _packaged(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A source expression of CSP Level 3, "hash-source"."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _text(text: str) -> str:
    return escape(clean(text))


def _time(when: datetime, text: str, name: str = "") -> str:
    """A moment: machines and a tooltip have it in UTC, the page shows ``text``."""
    kind = f' id="{name}"' if name else ""
    stamp = when.isoformat(timespec="seconds")
    return f'<time{kind} datetime="{stamp}" title="{words.minute(when)}">{_text(text)}</time>'


# --- above the table ---------------------------------------------------------------------


def _header(board: Board) -> str:
    unknown = "" if board.pull_requests_known else "Open promotions are not known: the forge did not tell."
    note = f'<p class="note">{unknown}</p>\n' if unknown else ""
    return (
        "<header>\n<h1>What runs where</h1>\n"
        f'<p class="of"><strong>{_text(board.repository)}</strong> '
        f"<code>{_text(board.base)}</code> at <code>{_text(board.commit[:12])}</code></p>\n"
        f'<p class="made">As of {_time(board.made, words.minute(board.made), "made")}'
        '<span id="local"></span>. Ages are of that moment.</p>\n'
        f'<p class="summary">{_text(words.summary(board))}.</p>\n{note}</header>'
    )


def _tools(board: Board) -> str:
    """Search and filters, which only the script makes work: hidden until it runs."""
    environments = "".join(
        f'<option value="{number}">{_text(column.name)}</option>'
        for number, column in enumerate(board.environments)
    )
    filters = "".join(
        f'<label class="only"><input type="checkbox" value="{name}"> {label} <b>{count}</b></label>'
        for name, label, applies in _FILTERS
        if (count := board.count(applies))
    )
    only = f'<fieldset><legend class="aside">Show only</legend>{filters}</fieldset>' if filters else ""
    return (
        '<form id="tools" role="search" hidden>\n'
        '<label class="field"><span>Find</span> '
        '<input id="find" type="search" placeholder="app, image or tag" autocomplete="off" '
        'spellcheck="false"></label>\n'
        '<label class="field"><span>Environment</span> '
        f'<select id="environment"><option value="">all</option>{environments}</select></label>\n'
        f'{only}\n</form>\n<p id="shown" role="status"></p>'
    )


# --- the table ---------------------------------------------------------------------------

# Roles are said, since a narrow page shows rows as cards (`display: block`), which would
# take them away: HTML Accessibility API Mappings, "table".


def _table(board: Board) -> Iterator[str]:
    yield '<table role="table">'
    yield (
        '<caption class="aside">Each app and image by environment: the version that runs there, '
        "since when, and how it differs from the environment before.</caption>"
    )
    yield (
        '<thead role="rowgroup"><tr role="row">'
        '<th role="columnheader" scope="col" aria-sort="ascending"><span class="name">App</span></th>'
    )
    yield from map(_column, board.environments)
    yield '</tr></thead>\n<tbody role="rowgroup">'
    for row in board.rows:
        yield from _row(board, row)
    yield "</tbody>\n</table>"
    yield f'<p id="none"{" hidden" if board.rows else ""}>Nothing to show.</p>'


def _column(column: Column) -> str:
    after = f'<span class="after">after {_text(column.after)}</span>' if column.after else ""
    frozen = f'<span class="mark frozen">{_text(column.frozen)}</span>' if column.frozen else ""
    return (
        '<th role="columnheader" scope="col">'
        f'<span class="name">{_text(column.name)}</span>{after}{frozen}</th>'
    )


def _row(board: Board, row: Row) -> Iterator[str]:
    yield (
        f'<tr role="row"><th role="rowheader" scope="row"><span class="app">{_text(row.app)}</span>'
        f'<span class="image">{_text(row.image).replace("/", "/<wbr>")}</span></th>'
    )
    for cell in row.cells:
        yield _cell(board, cell)
    yield "</tr>"


def _cell(board: Board, cell: Cell) -> str:
    """One cell; what filters and sorting go by stands in its data attributes."""
    label = f' data-environment="{_text(cell.environment)}"'
    if not cell.versions:
        return (
            f'<td role="cell"{label} class="absent"><span aria-hidden="true">–</span>'  # noqa: RUF001 - a dash for people
            '<span class="aside">not used</span></td>'
        )
    flags = " ".join(name for name, _, applies in _FILTERS if applies(cell))
    known = cell.since or max((one.since_before for one in cell.versions if one.since_before), default=None)
    since = f' data-since="{int(known.timestamp())}"' if known is not None else ""
    versions = "".join(_version(board, one) for one in cell.versions)
    marks = "".join(_marks(cell))
    return (
        f'<td role="cell"{label} data-is="{flags}"{since}>{versions}'
        + (f'<span class="marks">{marks}</span>' if marks else "")
        + "</td>"
    )


def _version(board: Board, one: Standing) -> str:
    text = words.age_of(one, board.made)
    when = one.since or one.since_before
    told = _time(when, text) if when is not None else f"<span>{_text(text)}</span>"
    digest = f' title="{_text(one.digest)}"' if one.digest else ""
    name = _text(words.version(one.tag, one.digest))
    return f'<span class="version"><code{digest}>{name}</code> {told}</span>'


def _marks(cell: Cell) -> Iterator[str]:
    if words.is_canary(cell):
        yield '<span class="mark canary">canary</span>'
    if text := words.difference(cell):
        kind = "behind" if text.endswith("behind") else "ahead"
        yield f'<span class="mark {kind}">{_text(text)}</span>'
    for one in cell.pull_requests:
        yield _promotion(one)
    if cell.hold is not None:
        yield '<span class="mark held">held</span>'
        yield f'<span class="why">{_text(words.hold(cell.hold))}</span>'


def _promotion(one: Proposed) -> str:
    text = _text(words.promotion(one))
    if one.url.startswith(("https://", "http://")):
        return f'<a class="mark proposed" href="{_text(one.url)}">{text}</a>'
    return f'<span class="mark proposed">{text}</span>'
