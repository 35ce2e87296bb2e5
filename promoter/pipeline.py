"""The line: options → snapshot → config → intent → sites → decision → edits → findings → commit → report.

``bump`` is the table of contents of the program. Each attempt starts again at the
snapshot: it rereads the base and its configuration, applies the intent to what is there
now and decides anew, so that a conflict is never a text merge.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from promoter.discover import Cache
from promoter.errors import RefusedError
from promoter.outcome import Failed, Outcome
from promoter.plan import changes_of, plan_bump
from promoter.publish.push import Publisher
from promoter.rules import rules_of
from promoter.validate.verdict import blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promoter.config import Config, Environment
    from promoter.errors import PromoterError
    from promoter.forges.port import Forge
    from promoter.gates import Gate
    from promoter.git.repository import Repository, Snapshot
    from promoter.options import BumpOptions
    from promoter.outcome import RunStatus
    from promoter.plan import Plan, Validate, WriteCommit
    from promoter.publish.converge import Converged
    from promoter.rules import Rules
    from promoter.validate.of_edit import Checked


@dataclass(frozen=True)
class Hands:
    """The effects, wired in the composition root. ``forge`` connects to what a configuration means."""

    repository: Repository
    write_commit: WriteCommit
    forge: Callable[[Config], Forge]
    validate: Validate


@dataclass(frozen=True)
class Attempt:
    """One attempt as far as the plan; ``number`` counts them from 1."""

    options: BumpOptions
    rules: Rules
    plan: Plan
    snapshot: Snapshot
    gates: tuple[Gate, ...]
    promoter_id: str
    number: int


def bump(options: BumpOptions, hands: Hands) -> Outcome:
    """Make the images current in the environment: land one commit, propose it, or say why not.

    Raises PromoterError; then nothing has changed on the base.
    """
    repository, promoter_id = hands.repository, os.urandom(8).hex()
    publisher, cache = Publisher(repository), Cache()
    snapshot = repository.open(options.base)
    attempt = 0
    while True:
        attempt += 1
        rules = rules_of(options, repository, snapshot)
        plan = plan_bump(options, rules, repository, snapshot, cache)
        gates = closed_gates(rules.environment)
        way = _way(options, rules, plan, gates)
        checked = hands.validate(snapshot, rules, plan.contents) if plan.edits else None
        blocked = blocking(checked.findings, strict=options.strict) if checked is not None else None
        if options.dry_run or plan.refused or blocked or (way == "push" and not plan.edits):
            return _outcome(plan, snapshot, attempt, checked, blocked)
        if way == "pull-request":
            from promoter.publish.propose import propose  # the forges cost more than all the rest

            this = Attempt(options, rules, plan, snapshot, gates, promoter_id, attempt)
            converged = propose(hands, publisher, this)
            if converged is not None:
                return _proposed(plan, snapshot, attempt, converged, checked)
            snapshot = repository.refresh(snapshot)
            continue
        commit = hands.write_commit(snapshot, plan, promoter_id)
        repository.verbose(f"attempt {attempt}: pushing {commit[:12]} on top of {snapshot.commit[:12]}")
        published = publisher.push(snapshot, commit, promoter_id, attempt)
        if published.status == "landed":
            return _outcome(plan, snapshot, attempt, checked, landed=published.commit)
        snapshot = published.snapshot


def closed_gates(environment: Environment) -> tuple[Gate, ...]:
    """What stands against landing in the environment now."""
    if not environment.freeze:
        return ()
    from promoter.gates import gates_of  # only where there is one

    return gates_of(environment, datetime.now(UTC))


def _way(
    options: BumpOptions, rules: Rules, plan: Plan, gates: Sequence[Gate]
) -> Literal["push", "pull-request"]:
    """How the plan is published. Raises RefusedError where a gate is closed to pushes."""
    if (options.publish or rules.environment.publish) == "pull-request":
        return "pull-request"
    if not gates or not plan.edits:
        return "push"
    if rules.environment.on_refused == "pull-request":
        return "pull-request"
    raise RefusedError(
        f"{rules.environment.name} takes no changes now: {gates[0].message}",
        next_step="run again then, or open a pull request with --publish pull-request, which waits for it",
        reason=gates[0].reason,
    )


# --- what is reported ------------------------------------------------------------------------


def _outcome(
    plan: Plan,
    snapshot: Snapshot,
    attempts: int,
    checked: Checked | None = None,
    blocked: PromoterError | None = None,
    landed: str | None = None,
) -> Outcome:
    refusals = (decision.error for decision in plan.decisions if decision.error is not None)
    error = next(refusals, blocked)
    fates = {decision.fate for decision in plan.decisions}
    status: RunStatus
    if error is not None:
        status = "refused"
    elif "move" in fates:
        status = "planned" if landed is None else "promoted"
    else:
        status = "superseded" if "superseded" in fates else "unchanged"
    return Outcome(
        verb="bump",
        status=status,
        reason=error.reason if error is not None else _reason(plan, status),
        environment=plan.intent.environment,
        app=plan.intent.app,
        base=snapshot.base,
        commit_sha=landed,
        attempts=attempts,
        changes=changes_of(plan, status if status in ("refused", "promoted") else "planned"),
        warnings=plan.notices,
        error=Failed.of(error) if error is not None else None,
        edits=tuple((path, old, new) for path, (old, new) in plan.contents.items()),
        findings=checked.findings if checked is not None else (),
        validation=checked.validation if checked is not None else None,
    )


def _reason(plan: Plan, status: RunStatus) -> str:
    """A slug that says why, from the sites that decided."""
    if status in ("promoted", "planned"):
        return "changed"
    codes = [
        choice.code for decision in plan.decisions for choice in decision.choices if choice.status == status
    ]
    return codes[0] if codes else "image-not-used"


def _proposed(
    plan: Plan, snapshot: Snapshot, attempts: int, converged: Converged, checked: Checked | None
) -> Outcome:
    """The outcome of a run whose plan went to a pull request, or found it done already."""
    outcome = _outcome(plan, snapshot, attempts, checked)
    report, status, reason = converged.report, outcome.status, outcome.reason
    if plan.edits and report is not None:
        if converged.closed_by_person:
            status, reason = "unchanged", "closed-by-person"
        elif len(converged.superseded) == len(plan.intent.images):
            status, reason = "superseded", "newer-proposed"
        elif report.operation == "merged":
            status, reason = "promoted", "changed"
        else:
            status, reason = "proposed", "changed"
    return replace(
        outcome,
        status=status,
        reason=reason,
        commit_sha=converged.head,
        pull_requests=(report,) if report is not None else (),
        edits=outcome.edits if status in ("proposed", "promoted") else (),
        changes=changes_of(plan, "superseded" if status == "unchanged" else status),
        warnings=(*plan.notices, *(one for one in converged.notices if one not in plan.notices)),
    )
