"""Whether what an environment's configuration asks for can happen at the branch that it lives on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.doctor.model import Check
from promoter.forges.port import GATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.config import Environment
    from promoter.forges.inspect import BranchFacts, RepositoryFacts

_DENIED = 8


def judged(
    environment: Environment,
    base: str,
    repository: RepositoryFacts,
    branch: BranchFacts,
    *,
    gated: bool,
) -> Iterator[Check]:
    """The protection of ``base`` and the repository's settings against the environment's ``publish``.

    ``gated``: heads get the status ``promoter/gate``, since some environment can have to wait.
    """
    if environment.publish == "push":
        yield _push(environment, base, branch)
    if "pull-request" in (environment.publish, environment.on_refused):
        yield from _merging(environment, base, repository, branch)
        yield from _gate(environment, base, branch, gated=gated)


def _push(environment: Environment, base: str, branch: BranchFacts) -> Check:
    about = environment.name
    if branch.may_push is None:
        return Check("push", about, "unknown", f"whether {base} takes direct pushes is not told")
    if branch.may_push:
        return Check("push", about, "ok", f"{base} takes direct pushes of this account")
    return Check(
        "push",
        about,
        "problem",
        f"{base} takes no direct pushes: {branch.closed_by}",
        "the environment has publish: push",
        "set publish: pull-request, or let the token's account pass the protection",
        _DENIED,
    )


def _merging(
    environment: Environment, base: str, repository: RepositoryFacts, branch: BranchFacts
) -> Iterator[Check]:
    about, method = environment.name, environment.pull_request.auto_merge
    if branch.queue:
        yield Check("merge-queue", about, "ok", f"{base} is merged through a queue, which decides how")
    if branch.must_be_current:
        seen = f"{base} takes only heads that are up to date"
        step = "run promoter sync on pushes to the base and on a schedule"
        why = "sync brings those that are approved and green up to date, one at a time"
        yield Check("up-to-date", about, "ok", seen, why, step)
    elif branch.must_be_current is None:
        seen = f"whether {base} takes only heads that are up to date is shown to administrators alone"
        why = "promoter sees that a head is behind only when it cannot be merged"
        yield Check("up-to-date", about, "unknown", seen, why)
    if method is None:
        return
    if repository.methods is None:
        yield Check("merge-method", about, "unknown", "which ways of merging are allowed is not told")
    elif method not in repository.methods and not branch.queue:
        allowed = ", ".join(sorted(repository.methods)) or "nothing"
        step = f"allow {method} in the repository's settings, or set auto-merge to what is allowed"
        why = f"auto-merge: {method} never merges anything"
        yield Check("merge-method", about, "warning", f"the settings allow {allowed}", why, step)
    else:
        yield Check("merge-method", about, "ok", f"{method} is allowed")
    if repository.auto_merge is False:
        yield Check(
            "auto-merge",
            about,
            "warning",
            "the repository's settings do not allow auto-merge",
            "a pull request that waits for checks or reviews is not merged by itself, only by a later sync",
            "allow auto-merge in the repository's settings, under General, Pull requests",
        )


def _gate(environment: Environment, base: str, branch: BranchFacts, *, gated: bool) -> Iterator[Check]:
    about = environment.name
    if GATE in branch.checks and not gated:
        yield Check(
            "gate",
            about,
            "warning",
            f"{base} requires {GATE}, and nothing in the configuration can close it",
            "no head gets that status, so no pull request can be merged",
            f"take {GATE} out of the required checks, or configure freeze or after",
        )
    elif environment.freeze or environment.after:
        if branch.holds_gate:
            yield Check("gate", about, "ok", f"nobody can merge into {base} while {GATE} is pending")
        else:
            yield Check(
                "gate",
                about,
                "warning",
                f"{base} does not wait for {GATE}",
                "a person can merge a pull request while a gate keeps it",
                f"add {GATE} to the required checks of {base}; on GitLab: Pipelines must succeed",
            )
