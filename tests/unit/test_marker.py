"""The hidden marker: it comes back as it was, and nobody else can write one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promoter.intent import Origin
from promoter.proposal.marker import Marker, read, render, replaced
from promoter.proposal.wanted import Wanted
from tests.unit.proposals import EVIL, EVIL_TEXT, IMAGES, ORIGIN, TIMES, want

MARKER = Marker("production", "main", "api", "a" * 40, "b" * 40, (want("ghcr.io/acme/api:1.4.2"),))
LINE = render(MARKER)

TEXTS = st.sampled_from(EVIL) | st.text(st.characters(codec="utf-8"), max_size=5)
NAMED = TEXTS.filter(bool)
COMMITS = st.sampled_from(["0123456789" * 4, "abcdef01" * 5, "abcdef01" * 8])
ORIGINS = st.builds(
    Origin,
    revision=st.none() | TEXTS,
    source_time=st.none() | TIMES,
    order=st.none() | st.tuples(TEXTS, st.integers(0, 10**18)),
    run_url=st.none() | TEXTS,
    actor=st.none() | TEXTS,
    author=st.none() | TEXTS,
)
MARKERS = st.builds(
    Marker,
    NAMED,
    NAMED,
    NAMED,
    COMMITS,
    COMMITS,
    st.lists(st.builds(Wanted, IMAGES, TEXTS, ORIGINS, TEXTS, st.lists(TEXTS).map(tuple)), max_size=3).map(
        tuple
    ),
    st.none() | TEXTS,
    st.none() | TEXTS,
)


@given(MARKERS)
def test_it_comes_back_and_is_inert(marker: Marker) -> None:
    line = render(marker)
    assert read(line) == marker
    inside = line.removeprefix("<!-- promoter: ").removesuffix(" -->")
    assert inside.isascii()
    assert not re.search(r"--|[<>`@#!~%$&^\s]|//", inside)


@given(MARKERS, EVIL_TEXT)
def test_forges_may_alter_blanks(marker: Marker, text: str) -> None:
    line = render(marker).replace(",", ",\r\n  ")
    line = line.replace("<!-- promoter: ", "<!--promoter:")
    above = text.replace("<", "")
    assert read(f"{above}\r\n{line}\r\n\r\nPromoter-Id: 1\r\n") == marker


def test_none_and_several() -> None:
    assert read("") is None
    assert read("text") is None
    assert read(f"text\n\n{LINE}\n\nmore") == MARKER
    assert read(LINE + LINE) is None
    assert read(f"{LINE}\n<!-- promoter: {{}} -->") is None
    assert read(f"<!-- promoter:\n{LINE}") is None
    assert read(f"{LINE}\n<!-- Promoter : hm -->") is None
    assert read(f"{LINE}\n<!-- promoters -->") == MARKER


def test_another_in_its_place() -> None:
    closed = Marker("production", "main", "api", "a" * 40, "c" * 40, (), r"\g<0> \1 it has --> this")
    assert replaced(f"above\r\n{LINE}\r\nbelow", closed) == f"above\r\n{render(closed)}\r\nbelow"


def document() -> dict[str, Any]:
    found = json.loads(LINE.removeprefix("<!-- promoter: ").removesuffix(" -->"))
    assert isinstance(found, dict)
    return found


def comment(value: Any) -> str:
    """A comment that only its content can spoil."""
    text = json.dumps(value, separators=(",", ":"))
    for character in "<> ":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"<!-- promoter: {text} -->"


def test_the_document_itself_is_read() -> None:
    assert read(comment(document())) == MARKER


DAMAGE: dict[str, dict[str, Any]] = {
    "no version": {"v": None},
    "a later version": {"v": 2},
    "a version that is no number": {"v": "1"},
    "a version that is a truth value": {"v": True},
    "a fraction": {"v": 1.0},
    "an environment that is no text": {"environment": 1},
    "an empty environment": {"environment": ""},
    "an empty base": {"base": ""},
    "an empty key": {"key": ""},
    "a short fork": {"fork": "abc"},
    "a head in capitals": {"head": "B" * 40},
    "a head with more": {"head": "b" * 40 + "\n"},
    "wanted that is no list": {"wanted": {}},
    "wanted texts": {"wanted": ["ghcr.io/acme/api:1"]},
    "closed that is no text": {"closed": False},
    "told that is no text": {"told": 1},
    "a key of another time": {"merged": True},
}
DAMAGED_WANTED: dict[str, dict[str, Any]] = {
    "an image that is none": {"image": "not an image"},
    "an image without version": {"image": "ghcr.io/acme/api"},
    "an image that is no text": {"image": 3},
    "no app": {"app": None},
    "an app that is no text": {"app": ["api"]},
    "no id": {"id": None},
    "options that are text": {"options": "pin"},
    "an option that is no text": {"options": [1]},
    "a time without zone": {"time": "2026-01-01T12:00:00"},
    "a time that is none": {"time": "noon"},
    "an order without number": {"order": ["ci"]},
    "an order of a truth value": {"order": ["ci", True]},
    "an order that is text": {"order": "ci#1"},
    "an actor that is no text": {"actor": 1},
    "a key of another time": {"platform": "linux"},
}


def damaged(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    changed = {**fields, **changes}
    return {key: value for key, value in changed.items() if value is not None}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_is_not_quite_right_is_none(case: str) -> None:
    assert read(comment(damaged(document(), DAMAGE[case]))) is None


@pytest.mark.parametrize("case", DAMAGED_WANTED)
def test_a_wanted_image_that_is_not_quite_right(case: str) -> None:
    fields = document()
    fields["wanted"] = [damaged(fields["wanted"][0], DAMAGED_WANTED[case])]
    assert read(comment(fields)) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: (
            st.lists(one) | st.dictionaries(st.sampled_from([*document(), *document()["wanted"][0]]), one)
        ),
        max_leaves=12,
    )
)
def test_any_json(value: Any) -> None:
    found = read(comment(value))
    assert found is None or isinstance(found, Marker)


@given(st.integers(0, len(LINE)), st.integers(0, 20), st.text(max_size=3))
def test_any_damage(at: int, length: int, other: str) -> None:
    found = read(LINE[:at] + other + LINE[at + length :])
    assert found is None or isinstance(found, Marker)


def test_deep_nesting_is_none() -> None:
    assert read("<!-- promoter: {" + '"v":{' * 100_000 + "} -->") is None


def test_a_mailless_origin_is_written_short() -> None:
    assert "revision" not in render(
        Marker("p", "main", "api", "a" * 40, "b" * 40, (want("a/b:1", Origin()),))
    )
    assert str(ORIGIN.revision) in LINE
