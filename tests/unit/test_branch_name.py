"""The branch of a pull request: always the same, always valid, never another's."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promoter.config import PullRequestSettings, parse_config
from promoter.config.grammar import check_branch_prefix
from promoter.errors import ConfigError
from promoter.proposal.branch_name import ALL, branch_name
from tests.unit.proposals import EVIL_TEXT

SETTINGS = PullRequestSettings()
GROUPED = PullRequestSettings(group="environment", branch_prefix="bots/promoter")


def test_names() -> None:
    assert branch_name(SETTINGS, "production", "api") == "promoter/production/api"
    assert branch_name(SETTINGS, "eu-1.prod", "check_out") == "promoter/eu-1.prod/check_out"
    assert branch_name(GROUPED, "production", "api") == "bots/promoter/production/_all"
    assert branch_name(SETTINGS, "production", ALL) == "promoter/production/_all"


@pytest.mark.parametrize(
    ("app", "branch"),
    [
        ("my app", "promoter/p/my-app-cccdfa68"),
        ("a..b", "promoter/p/a-b-f62b4241"),
        ("..", "promoter/p/x-5ec1f7e7"),
    ],
)
def test_what_does_not_fit_is_replaced_the_same_way_every_time(app: str, branch: str) -> None:
    assert branch_name(SETTINGS, "p", app) == branch


def valid(branch: str) -> bool:
    command = ["git", "check-ref-format", "--branch", branch]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@settings(max_examples=30, deadline=None)
@given(
    EVIL_TEXT | st.text(),
    EVIL_TEXT | st.sampled_from(["a.lock", "x.", "-x", "@{u}", "HEAD", "x" * 300, "_all_"]),
)
def test_any_name_makes_a_branch(environment: str, app: str) -> None:
    branch = branch_name(SETTINGS, environment, app)
    assert valid(branch)
    assert branch.count("/") == 2
    assert max(map(len, branch.split("/"))) < 120
    assert branch.endswith(ALL) == (app == ALL)


@settings(max_examples=30, deadline=None)
@given(EVIL_TEXT, EVIL_TEXT)
def test_two_names_make_two_branches(one: str, other: str) -> None:
    names = {branch_name(SETTINGS, "p", app) for app in (one, other)}
    assert len(names) == len({one, other})


@settings(max_examples=40, deadline=None)
@given(
    st.text(alphabet="abR/.-_@{}~^: *[\\\x7fé", min_size=1, max_size=8)
    | st.sampled_from(["a.lock", "a/b.lock/c", "@"])
)
def test_prefixes_are_what_git_allows(prefix: str) -> None:
    try:
        check_branch_prefix(prefix)
    except ValueError:
        assert not valid(f"{prefix}/p/a") or not prefix.isprintable()
    else:
        assert valid(f"{prefix}/p/a")


TWO = """\
version: 1
environments:
  staging: {path: a, %s}
  production: {path: b, %s}
"""


@pytest.mark.parametrize(
    ("staging", "production", "good"),
    [
        ("publish: pull-request", "publish: pull-request", True),
        ("publish: push", "publish: pull-request, pull-request: {branch-prefix: promoter/staging}", True),
        (
            "publish: pull-request",
            "publish: pull-request, pull-request: {branch-prefix: promoter/staging}",
            False,
        ),
        (
            "on-refused: pull-request, pull-request: {branch-prefix: promoter/Production/eu}",
            "publish: pull-request",
            False,
        ),
        (
            "publish: pull-request, pull-request: {branch-prefix: bots}",
            "publish: pull-request, pull-request: {branch-prefix: bots/staging-x}",
            True,
        ),
    ],
)
def test_environments_keep_out_of_each_others_way(staging: str, production: str, good: bool) -> None:
    text = TWO % (staging, production)
    if good:
        parse_config(text, "x", version="1")
        return
    with pytest.raises(ConfigError, match="would share branches") as caught:
        parse_config(text, "x", version="1")
    assert (caught.value.exit_code, caught.value.line) == (3, 4)
