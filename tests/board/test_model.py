"""What the board makes of the facts, where they are less than plain."""

import pytest

from promoter.decide import is_same
from promoter.overview.board import Cell, order_by_version
from tests.board.boards import DIGEST, board, look, version

OTHER = "sha256:" + "0123456789abcdef" * 4


def cell(here: str, there: str, owner: str = "") -> Cell:
    """The cell of `api` in an environment that comes after another one."""
    looks = [
        look("before", None, {"api": there}, owner=owner),
        look("after", "before", {"api": here}, owner=owner),
    ]
    [row] = board(looks).rows
    return row.cells[1]


@pytest.mark.parametrize(
    ("here", "there", "order", "behind"),
    [
        pytest.param("2.0: 2.0 1", "2.0: 2.0 2", "same", 0, id="the same"),
        pytest.param("1.0: 1.0 1", "2.0: 2.0 1, 1.0 2", "older", 1, id="one behind"),
        pytest.param("1.0: 1.0 1", "4.0: 4.0 1, 3.0 2, 4.0 3, 1.0 9", "older", 2, id="a version counts once"),
        pytest.param(
            "b-1: b-1 1", "c-9: c-9 1, b-1 2", "unknown", 1, id="history tells where versions do not"
        ),
        pytest.param("1.0: 1.0 1", "3.0: 3.0 1, 2.0 2", "older", None, id="it never ran there"),
        pytest.param("1.0: 1.0 1", "3.0: 3.0 1, edge 2", "older", None, id="older than what is known"),
        pytest.param("3.0: 3.0 1", "2.0: 2.0 1, 3.0 2", "newer", None, id="taken back there: ahead"),
        pytest.param("b-9: b-9 1", "a-1: b-9 1, a-1 2", "unknown", None, id="taken back there, no versions"),
        pytest.param("1.0 2.0: 2.0 1, 1.0 2", "2.0: 2.0 2, 1.0 3", "unknown", 1, id="a canary: its oldest"),
        pytest.param("1.0 2.0: 2.0 1, 1.0 2", "2.0 1.0: 2.0 2, 1.0 3", "same", 0, id="the same canary"),
        pytest.param(f"1.0@{DIGEST}: 1.0 1", "1.0: 1.0 2", "same", 0, id="a digest on one side"),
        pytest.param(
            f"1.0@{DIGEST}: 1.0 1", f"1.0@{OTHER}: 1.0@{OTHER} 2, 1.0@{DIGEST} 3", "unknown", 1, id="rebuilt"
        ),
    ],
)
def test_how_a_cell_differs(here: str, there: str, order: str, behind: int | None) -> None:
    found = cell(here, there)
    assert (found.order, found.behind) == (order, behind)
    assert found.drift == (order != "same")


@pytest.mark.parametrize(("here", "there"), [("", "1.0: 1.0 1"), ("1.0: 1.0 1", "")])
def test_there_is_no_drift_where_one_does_not_use_the_image(here: str, there: str) -> None:
    looks = [
        look("before", None, {"api": there} if there else {}),
        look("after", "before", {"api": here} if here else {}),
    ]
    [row] = board(looks).rows
    assert (row.cells[1].drift, row.cells[1].order, row.cells[1].behind) == (None, None, None)


def test_ages_are_of_the_version_that_runs_and_unknown_where_history_ends() -> None:
    [row] = board([look("one", None, {"api": "1.0 2.0 3.0: 2.0 1, 4.0 2, 1.0 3, 2.0 9, edge 20"})]).rows
    came = {one.tag: (one.since, one.since_before) for one in row.cells[0].versions}
    days = {
        tag: [(board([]).made - when).days if when else None for when in pair] for tag, pair in came.items()
    }
    assert days == {"1.0": [3, None], "2.0": [1, None], "3.0": [None, 20]}


def test_an_app_with_several_images_has_a_row_for_each_and_its_hold_in_all() -> None:
    from promoter.holds import Hold

    hold = Hold("one", "shop", "why")
    found = board([look("one", None, {"web": "1.0:", "worker": "1.0:"}, hold, owner="shop")])
    assert [(row.app, row.image, row.cells[0].hold) for row in found.rows] == [
        ("shop", "ghcr.io/acme/web", hold),
        ("shop", "ghcr.io/acme/worker", hold),
    ]


def test_spellings_of_one_image_are_one_row() -> None:
    from promoter.image import ImageReference
    from promoter.overview.board import Look

    looks = [
        Look("one", None, (("nginx", ImageReference("nginx", "1.0")),)),
        Look("two", "one", (("nginx", ImageReference("docker.io/library/nginx", "1.0")),)),
    ]
    [row] = board(looks).rows
    assert row.cells[1].order == "same"


@pytest.mark.parametrize("one", ["1.0", "", f"1.0@{DIGEST}", f"@{DIGEST}"])
@pytest.mark.parametrize("other", ["1.0", "", "2.0", f"1.0@{DIGEST}", f"2.0@{DIGEST}", f"1.0@{OTHER}"])
def test_order_agrees_with_sameness_whichever_way_one_looks(one: str, other: str) -> None:
    left, right = version(one), version(other)
    assert is_same(left, right) == is_same(right, left)
    opposite = {"same": "same", "older": "newer", "newer": "older", "unknown": "unknown"}
    assert order_by_version(right, left) == opposite[order_by_version(left, right)]
    assert (order_by_version(left, right) == "same") == is_same(left, right)
