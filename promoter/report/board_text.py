"""The board for a terminal: a table where it fits, else an app at a time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from promoter.report import board_words as words
from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.holds import Hold
    from promoter.overview.board import Board, Cell, Row
    from promoter.report.paint import Paint

_GAP = "  "
_NO_TERMINAL = 160  # columns, where nobody says how many there are

# Pieces of text, each with its colour or none.
_Pieces = list[tuple[str, str]]


def lines(board: Board, paint: Paint, width: int | None = None) -> Iterator[str]:
    """The board in lines of at most ``width`` columns, by default the terminal's, as far as names allow."""
    if width is None:
        width = shutil.get_terminal_size((_NO_TERMINAL, 0)).columns
    cells = [[_cell(board, cell) for cell in row.cells] for row in board.rows]
    names = _names(board)
    heads = [column.name for column in board.environments]
    widths = [_widest([head, *column]) for head, *column in zip(heads, *map(_plain, cells), strict=True)]
    first = _widest(["APP", *names])
    if first + sum(len(_GAP) + one for one in widths) <= width:
        yield from _table(names, heads, cells, (first, widths), paint)
    else:
        yield from _stacked(names, heads, cells, paint)
    if board.rows:
        yield ""
    for column in board.environments:
        if column.frozen:
            yield paint(f"{column.name}: {column.frozen}", "yellow")
    for held in _holds(board):
        yield paint(
            ": ".join((held.environment, f"{held.app} is held", words.hold(held))).removesuffix(": "), "red"
        )
    yield paint(words.summary(board), "bold")


def _holds(board: Board) -> list[Hold]:
    """The holds, each once, however many images the app has."""
    found = [cell.hold for row in board.rows for cell in row.cells if cell.hold is not None]
    return list(dict.fromkeys(found))


def _names(board: Board) -> list[str]:
    """The app; with its image where it has several, or is called otherwise."""
    apps = [row.app for row in board.rows]
    return [_name(row, alone=apps.count(row.app) == 1) for row in board.rows]


def _name(row: Row, *, alone: bool) -> str:
    last = row.image.rpartition("/")[2]
    return row.app if alone and last == row.app else f"{row.app} ({last})"


def _table(
    names: Sequence[str],
    heads: Sequence[str],
    cells: Sequence[Sequence[_Pieces]],
    widths: tuple[int, Sequence[int]],
    paint: Paint,
) -> Iterator[str]:
    first, rest = widths
    yield paint(
        _GAP.join(
            ["APP".ljust(first), *(head.upper().ljust(n) for head, n in zip(heads, rest, strict=True))]
        ).rstrip(),
        "bold",
    )
    for name, row in zip(names, cells, strict=True):
        told = [clean(name.ljust(first))]
        told += [
            _painted(pieces, paint) + " " * (n - _length(pieces)) for pieces, n in zip(row, rest, strict=True)
        ]
        yield _GAP.join(told).rstrip()


def _stacked(
    names: Sequence[str], heads: Sequence[str], cells: Sequence[Sequence[_Pieces]], paint: Paint
) -> Iterator[str]:
    width = _widest(heads)
    for name, row in zip(names, cells, strict=True):
        yield paint(name, "bold")
        for head, pieces in zip(heads, row, strict=True):
            yield f"{_GAP}{clean(head.ljust(width))}{_GAP}{_painted(pieces, paint)}".rstrip()


def _cell(board: Board, cell: Cell) -> _Pieces:
    if not cell.versions:
        return [("-", "dim")]
    pieces: _Pieces = []
    for number, one in enumerate(cell.versions):
        pieces.append(((", " if number else "") + words.version(one.tag, one.digest), ""))
        pieces.append((f" {words.age_of(one, board.made)}", "dim"))
    marks = [
        ("canary" if words.is_canary(cell) else "", "yellow"),
        (words.difference(cell), "cyan"),
        ("held" if cell.hold is not None else "", "red"),
        *((words.promotion(one), "green") for one in cell.pull_requests),
    ]
    return pieces + [(f"{_GAP}{text}", colour) for text, colour in marks if text]


def _painted(pieces: _Pieces, paint: Paint) -> str:
    return "".join(paint(text, colour) if colour else clean(text) for text, colour in pieces)


def _length(pieces: _Pieces) -> int:
    return sum(len(text) for text, _ in pieces)


def _plain(row: Sequence[_Pieces]) -> list[str]:
    return ["".join(text for text, _ in pieces) for pieces in row]


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts), default=0)
