"""Versions in tags: the table, and what must hold for any tag."""

import time
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promoter.version import Order, compare, line_of, parse_version

TABLE: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "decide_cases.yaml").read_text(encoding="utf-8")
)
ORDERS: tuple[Order, ...] = get_args(Order)
RESULTS = {"newer": -1, "older": 1, "equal": 0, "unknown": None}

any_text = st.text(max_size=128)
tag_text = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,40}", fullmatch=True)

# Few values each, so that tags of one shape meet often.
_release = st.sampled_from(["1.4.2", "1.4.3", "1.10.0", "v1.4.2", "2.0", "2.1", "57", "58", "v59"])
_pre = st.sampled_from(["", "-rc.1", "-rc.10", "rc2", "-alpha", "-beta2", "-SNAPSHOT", "-dev-3", "-pre.1"])
_stamp = st.sampled_from(["", "-20240903", "-20240904", "-1700000000", "-1700000100", "-20240903120000"])
_build = st.sampled_from(["", "", "-1", "-2", ".30"])
_commit = st.sampled_from(["", "", "-abc1234", "-gdef5678", "-1234567"])
_word = st.sampled_from(["", "", "-alpine", "-alpine3.18"])
versioned = st.builds("{}{}{}{}{}{}".format, _release, _pre, _stamp, _build, _commit, _word)
stamped = st.builds("{}{}{}{}".format, st.sampled_from(["main", "v20240903", "dev"]), _commit, _stamp, _build)
tags = versioned | stamped | tag_text
orders = st.sampled_from(ORDERS)


@pytest.mark.parametrize(
    "case", TABLE["versions"], ids=lambda c: f"{c['a']} {c['b']} {c.get('order', 'auto')}"
)
def test_compare(case: dict[str, Any]) -> None:
    order = case.get("order", "auto")
    expected = RESULTS[case["result"]]
    assert compare(case["a"], case["b"], order) == expected
    assert compare(case["b"], case["a"], order) == (None if expected is None else -expected)


@pytest.mark.parametrize("case", TABLE["lines"], ids=lambda c: c["tag"] or "empty")
def test_line(case: dict[str, Any]) -> None:
    assert line_of(case["tag"]) == case["line"]


@pytest.mark.parametrize("tag", ["latest", "abc1234", "1234567", "sha-abc1234", "", "-", "7" * 129])
def test_nothing_to_compare(tag: str) -> None:
    assert parse_version(tag) is None


@given(any_text, any_text, orders)
def test_any_text_is_read(a: str, b: str, order: Order) -> None:
    line_of(a)
    result = compare(a, b, order)
    assert compare(b, a, order) == (None if result is None else -result)
    assert compare(a, a, order) == 0


@given(tags, tags, orders)
def test_both_ways_agree(a: str, b: str, order: Order) -> None:
    result = compare(a, b, order)
    assert compare(b, a, order) == (None if result is None else -result)


@given(versioned, versioned, versioned, orders)
def test_order_is_transitive(a: str, b: str, c: str, order: Order) -> None:
    first, second = compare(a, b, order), compare(b, c, order)
    if first is not None and second is not None and first * second >= 0:
        assert compare(a, c, order) == (first or second)


@given(versioned, st.sampled_from(["alpine", "bookworm", "slim.2"]))
def test_variants_are_not_compared(tag: str, other: str) -> None:
    assert compare(tag, f"{tag}-{other}") is None


@given(st.sampled_from(["1.4.2", "1.4.3-rc.1", "v57"]), _commit, _word)
def test_builds_of_one_variant_share_a_line(release: str, commit: str, word: str) -> None:
    assert line_of(release + commit + word) == word.lstrip("-")


@given(tags)
def test_line_is_stable(tag: str) -> None:
    line = line_of(tag)
    assert not line.startswith("-")
    assert not line.endswith("-")
    assert len(line) <= len(tag)


@pytest.mark.parametrize(
    "tag",
    ["1." * 64, "1" * 128, "a1.1" * 32, "1.4.2-rc" + ".1" * 60, "rc1" * 42, "2024-01-02T" * 11, "g" * 128],
)
def test_hostile_tags_are_read_fast(tag: str) -> None:
    # A guard against exponential patterns, not a benchmark: this takes a few milliseconds.
    start = time.process_time()
    for _ in range(20):
        line_of(tag)
        parse_version(tag)
    assert time.process_time() - start < 1
