"""The judgement of one site: the table, and what must hold for every site."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promoter.decide import Action, Build, Policy, SiteHistory, TagDigest, Verdict, judge
from promoter.version import Order

TABLE: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "decide_cases.yaml").read_text(encoding="utf-8")
)["judge"]


def _pair(text: str) -> TagDigest:
    tag, _, digest = text.partition("@")
    return tag or None, digest or None


def _build(fields: dict[str, Any] | None) -> Build:
    fields = fields or {}
    time = fields.get("source-time")
    return Build(
        fields.get("namespace"), fields.get("number"), datetime.fromisoformat(time) if time else None
    )


def _history(case: dict[str, Any]) -> SiteHistory | None:
    if case["history"] == "unread":
        return None
    introduced = _build(case["introduced"]) if "introduced" in case else None
    return SiteHistory(introduced, tuple(_pair(text) for text in case.get("earlier", [])))


@pytest.mark.parametrize("case", TABLE, ids=lambda c: c["name"])
def test_judge(case: dict[str, Any]) -> None:
    verdict = judge(
        _pair(case["current"]),
        _pair(case["wanted"]),
        build=_build(case.get("build")),
        history=_history(case),
        policy=Policy(**case.get("policy", {})),
    )
    assert (verdict.action, verdict.code) == (Action[case["action"]], case["code"])


def test_names_are_unique() -> None:
    names = [case["name"] for case in TABLE]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("code", "options"),
    [("hotfix", ["--allow-downgrade", "--current"]), ("landed-before", ["--again"])],
)
def test_reasons_name_the_options(code: str, options: list[str]) -> None:
    ours, theirs = Build("ci", 10), Build("ci", 9)
    hotfix = judge(
        ("1.5.0", None), ("1.4.3", None), build=ours, history=SiteHistory(theirs, ()), policy=Policy()
    )
    landed = judge(
        ("main", "sha256:a"),
        ("main", "sha256:b"),
        build=ours,
        history=SiteHistory(None, (("main", "sha256:b"),)),
        policy=Policy(),
    )
    why = {verdict.code: verdict.why for verdict in (hotfix, landed)}[code]
    assert all(option in why for option in options)


_tags = st.sampled_from(
    [None, "1.4.2", "1.4.3", "v1.4.3", "1.5.0-rc.1", "abc1234", "def5678", "main", "main-57"]
)
_pairs = st.tuples(_tags, st.sampled_from([None, "sha256:a", "sha256:b"]))
_times = st.none() | st.integers(0, 3).map(lambda n: datetime(2024, 9, 3, tzinfo=UTC) + timedelta(hours=n))
_builds = st.builds(
    Build, st.sampled_from([None, "a", "b"]), st.none() | st.integers(1, 3), source_time=_times
)
_histories = st.builds(SiteHistory, st.none() | _builds, st.lists(_pairs, max_size=3).map(tuple))
_policies = st.builds(
    Policy, st.sampled_from(get_args(Order)), st.booleans(), st.booleans(), strict_order=st.booleans()
)


@given(_pairs, _pairs, _builds, _histories, _policies)
def test_history_is_asked_for_only_where_it_decides(
    current: TagDigest, wanted: TagDigest, build: Build, history: SiteHistory, policy: Policy
) -> None:
    without = judge(current, wanted, build=build, history=None, policy=policy)
    verdict = judge(current, wanted, build=build, history=history, policy=policy)
    assert verdict.action is not Action.NEEDS_HISTORY
    if without.action is not Action.NEEDS_HISTORY:
        assert verdict.action is without.action


@given(_pairs, _pairs, _builds, _histories, _policies)
def test_only_plain_moves_need_no_words(
    current: TagDigest, wanted: TagDigest, build: Build, history: SiteHistory, policy: Policy
) -> None:
    verdict = judge(current, wanted, build=build, history=history, policy=policy)
    assert verdict.why or verdict in {
        Verdict(Action.MOVE, "", "newer-version"),
        Verdict(Action.MOVE, "", "newer-build"),
    }
    assert (verdict.action is Action.UNCHANGED) == (current == wanted)
    if policy.strict_order:
        assert verdict.action is not Action.SUPERSEDED
