"""The forges that the contract is played on, and in what they really differ, as data."""

import importlib
import importlib.util
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

    `methods`: how a project may merge without a change of its settings; `merge_commits`: those of
    them that end in a merge commit. `weak`: what the refusal
    of a token that may not open pull requests must name.
    """

    teams: bool = True  # can be asked for a review
    auto_merge_setting: bool = True  # the repository can forbid it
    methods: tuple[Method, ...] = ("merge", "squash", "rebase")
    merge_commits: tuple[Method, ...] = ("merge",)
    strict_protection: bool = True  # a protected branch can demand heads that are up to date
    weak: str = ""


DIFFERENCES = {
    "gitea": Differences(auto_merge_setting=False, weak="pull requests"),
    "github": Differences(weak="Pull requests"),
    # Approval rules stand in for teams; the project, not the merger, decides between merge and rebase,
    # and one that merges puts a merge commit on top of a squashed one, too.
    "gitlab": Differences(
        teams=False,
        auto_merge_setting=False,
        methods=("merge", "squash"),
        merge_commits=("merge", "squash"),
        weak="api",
    ),
}


def present() -> list[str]:
    """The stages whose module is there."""
    return [name for name, place in PLACES.items() if importlib.util.find_spec(place.partition(":")[0])]


def factory(name: str) -> StageFactory:
    module, _, function = PLACES[name].partition(":")
    return cast("StageFactory", getattr(importlib.import_module(module), function))
