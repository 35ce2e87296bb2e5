"""The line: options → snapshot → config → intent → sites → decision → edits → findings → commit → report.

``bump`` is the table of contents of the program. Each attempt starts again at the
snapshot: it rereads the base and its configuration, applies the intent to what is there
now and decides anew, so that a conflict is never a text merge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from promoter.coming import coming
from promoter.discover import Cache
from promoter.errors import RefusedError
from promoter.hands import settle
from promoter.message import OWN_TRAILERS, new_id
from promoter.outcome import Failed, Outcome
from promoter.plan import changes_of, plan_bump, wanted_of
from promoter.proposal.wanted import options_of
from promoter.publish.push import Publisher
from promoter.rules import rules_of
from promoter.validate.verdict import blocking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.config import Environment
    from promoter.errors import PromoterError
    from promoter.gates import Arrival, Gate
    from promoter.git.repository import Snapshot
    from promoter.hands import Hands
    from promoter.image import ImageReference
    from promoter.options import BumpOptions
    from promoter.outcome import RunStatus
    from promoter.plan import Plan
    from promoter.publish.converge import Converged
    from promoter.rules import Rules
    from promoter.validate.of_edit import Checked


@dataclass(frozen=True)
class Attempt:
    """One attempt of one run, up to the point where it is published; ``number`` counts from 1.

    ``blocked`` is the error that ends it: a refused image, a closed gate, or what validation found.
    """

    options: BumpOptions
    rules: Rules
    plan: Plan
    snapshot: Snapshot
    gates: tuple[Gate, ...]
    way: Literal["push", "pull-request"]
    checked: Checked | None
    blocked: PromoterError | None
    promoter_id: str
    number: int

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to publish, or nothing may be."""
        nothing = self.way == "push" and not self.plan.says_something
        return self.options.dry_run or self.blocked is not None or nothing


class Aim(Protocol):
    """Gives what an attempt shall make true, from what is there now."""

    def __call__(self, hands: Hands, rules: Rules, snapshot: Snapshot) -> BumpOptions:
        """Say it. Raises PromoterError where it cannot be said."""
        ...


def bump(options: BumpOptions, hands: Hands) -> Outcome:
    """Make the images current in the environment: land one commit, propose it, or say why not.

    Raises PromoterError; then nothing has changed on the base.
    """
    return land("bump", options, hands, lambda *_: options)


def land(verb: str, options: BumpOptions, hands: Hands, aim: Aim) -> Outcome:
    """The line, with what each attempt is to make true given by ``aim``. Raises as `bump`."""
    hands, snapshot = settle(options, hands)
    repository, promoter_id = hands.repository, new_id()
    publisher, cache = Publisher(repository), Cache()
    number = 0
    while True:
        number += 1
        rules = rules_of(options, repository, snapshot)
        wanted = hands.look_up(aim(hands, rules, snapshot), rules.config)
        this = prepare(wanted, rules, hands, snapshot, cache, promoter_id, number)
        if this.is_over:
            return outcome_of(verb, this)
        if this.way == "pull-request":
            from promoter.publish.propose import propose  # the forges cost more than all the rest

            converged = propose(hands, publisher, [this])
            if converged is not None:
                return proposed(verb, this, converged)
            snapshot = repository.refresh(snapshot)
            continue
        commit = hands.write_commit(snapshot, this.plan, promoter_id, options=recorded(wanted))
        repository.verbose(f"attempt {number}: pushing {commit[:12]} on top of {snapshot.commit[:12]}")
        published = publisher.push(snapshot, commit, promoter_id, number)
        if published.status == "landed":
            return outcome_of(verb, this, landed=published.commit)
        snapshot = published.snapshot


def prepare(
    options: BumpOptions,
    rules: Rules,
    hands: Hands,
    snapshot: Snapshot,
    cache: Cache,
    promoter_id: str,
    number: int,
    known: Mapping[ImageReference, Arrival] = MappingProxyType({}),
) -> Attempt:
    """Decide what the run does to this snapshot. ``known`` is what the environment before tells of images.

    Raises PromoterError where it can do nothing; what its images or gates stand against is in ``blocked``.
    """
    raise_if_no_override(options, rules)
    plan = plan_bump(options, rules, hands.repository, snapshot, cache)
    gates: tuple[Gate, ...] = ()
    if plan.says_something:
        from promoter.gatekeeper import closed_gates  # only where something would land

        moving = coming(plan, rules, wanted_of(plan, options, promoter_id))
        gates = closed_gates(hands, rules, snapshot, moving, known)
    way = _way(options, rules, plan, gates)
    blocked = next((decision.error for decision in plan.decisions if decision.error is not None), None)
    if gates and way == "push":
        blocked = _closed(rules.environment, plan, gates[0])
    checked = hands.validate(snapshot, rules, plan.contents) if plan.edits and blocked is None else None
    if checked is not None:
        blocked = blocking(checked.findings, strict=options.strict)
    return Attempt(options, rules, plan, snapshot, gates, way, checked, blocked, promoter_id, number)


def raise_if_no_override(options: BumpOptions, rules: Rules) -> None:
    """Raise RefusedError where gates are to be passed that the configuration lets nobody pass."""
    if options.override and not rules.environment.allow_override:
        raise RefusedError(
            f"{rules.environment.name} allows no override",
            next_step="leave out --override, or set allow-override in the configuration",
            reason="override",
        )


def recorded(options: BumpOptions) -> tuple[str, ...]:
    """What a commit on the base says of its run's options: where the images came from, and an override."""
    return tuple(one for one in options_of(options) if one.partition("=")[0] in OWN_TRAILERS)


def _way(
    options: BumpOptions, rules: Rules, plan: Plan, gates: Sequence[Gate]
) -> Literal["push", "pull-request"]:
    """How the plan is published."""
    environment = rules.environment
    if (options.publish or environment.publish) == "pull-request":
        return "pull-request"
    waits = bool(gates) and plan.says_something and environment.on_refused == "pull-request"
    return "pull-request" if waits else "push"


def _closed(environment: Environment, plan: Plan, gate: Gate) -> RefusedError:
    """Why nothing is pushed while the gate is closed."""
    steps = {
        "held": f"end the hold with promoter unhold {environment.name} --app {gate.app}, "
        "or with --lift-hold in the same commit",
        "after": f"promote it to {environment.after} first",
        "checks": "see what the check says, and run again when it has passed",
    }
    override = ", or give --override REASON" if environment.allow_override and gate.reason != "held" else ""
    return RefusedError(
        f"{environment.name} takes no change of {plan.intent.app} now: {gate.message}",
        next_step=f"{steps.get(gate.reason, 'run again then')}, "
        f"or open a pull request with --publish pull-request, which waits for it{override}",
        reason=gate.reason,
    )


# --- what is reported ------------------------------------------------------------------------


def outcome_of(verb: str, this: Attempt, landed: str | None = None) -> Outcome:
    """The outcome of a run that ended here, or whose commit has landed."""
    plan, error = this.plan, this.blocked
    fates = {decision.fate for decision in plan.decisions}
    closed = error is not None and bool(this.gates)
    status: RunStatus
    if error is not None:
        status = "refused"
    elif plan.says_something:
        status = "planned" if landed is None else "promoted"
    else:
        status = "superseded" if "superseded" in fates else "unchanged"
    return Outcome(
        verb=verb,
        status=status,
        reason=error.reason if error is not None else _reason(plan, status),
        environment=plan.intent.environment,
        app=plan.intent.app,
        base=this.snapshot.base,
        commit_sha=landed,
        attempts=this.number,
        changes=changes_of(plan, status if status in ("refused", "promoted") else "planned"),
        gates=this.gates,
        warnings=plan.notices,
        error=Failed.of(error) if error is not None else None,
        edits=() if closed else tuple((path, old, new) for path, (old, new) in plan.contents.items()),
        findings=this.checked.findings if this.checked is not None else (),
        validation=this.checked.validation if this.checked is not None else None,
    )


def _reason(plan: Plan, status: RunStatus) -> str:
    """A slug that says why, from the sites that decided."""
    if status in ("promoted", "planned"):
        return "changed"
    codes = [
        choice.code for decision in plan.decisions for choice in decision.choices if choice.status == status
    ]
    return codes[0] if codes else "image-not-used"


def proposed(verb: str, this: Attempt, converged: Converged) -> Outcome:
    """The outcome of a run whose plan went to a pull request, or found it done already."""
    plan, outcome = this.plan, outcome_of(verb, this)
    report, status, reason = converged.report, outcome.status, outcome.reason
    if plan.says_something and report is not None:
        if converged.closed_by_person:
            status, reason = "unchanged", "closed-by-person"
        elif len([one for one in converged.superseded if one.promoter_id == this.promoter_id]) == len(
            plan.intent.images
        ):
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
        gates=converged.gates,
        edits=outcome.edits if status in ("proposed", "promoted") else (),
        changes=changes_of(plan, "superseded" if status == "unchanged" else status),
        warnings=(*plan.notices, *(one for one in converged.notices if one not in plan.notices)),
    )
