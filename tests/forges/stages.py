"""The forges that the contract is played on, and in what they really differ, as data."""

import importlib
from dataclasses import dataclass
from typing import Literal, cast

from tests.forges.stage import StageFactory

Method = Literal["merge", "squash", "rebase"]

# Name: where its `(tmp_path) -> context manager of Stage` stands.
PLACES = {
    "gitea": "tests.forges.stage_gitea:gitea_stage",
    "github": "tests.forges.stage_github:github_stage",
    "gitlab": "tests.forges.stage_gitlab:gitlab_stage",
}


@dataclass(frozen=True)
class Differences:
    """What a forge has that another one has not.

    `weak`: what the refusal of a token that may not open pull requests must name.
    """

    methods: tuple[Method, ...] = ("merge", "squash", "rebase")  # without a change of the settings
    merges: frozenset[Method] = frozenset({"merge"})  # which of them end in a commit with two parents
    unknown_team: str = "unknown-team"  # the refusal's reason where a team is asked that is not there
    teams: frozenset[str] = frozenset({"team/sre"})  # who is asked then, of the one that is there
    auto_merge_setting: bool = True  # the repository can forbid it
    weak: str = ""


DIFFERENCES = {
    "gitea": Differences(auto_merge_setting=False, weak="access to the pull requests"),
    "github": Differences(weak="Pull requests"),
    # Approval rules stand in for teams; the project, not the merger, decides between merge and rebase,
    # and by its own decision a merge commit brings what was squashed.
    "gitlab": Differences(
        methods=("merge", "squash"),
        merges=frozenset({"merge", "squash"}),
        unknown_team="unsupported",
        teams=frozenset(),
        auto_merge_setting=False,
        weak="the scope `api`",
    ),
}


def factory(name: str) -> StageFactory:
    module, _, function = PLACES[name].partition(":")
    return cast("StageFactory", getattr(importlib.import_module(module), function))
