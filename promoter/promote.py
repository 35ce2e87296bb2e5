"""``promote``: what one environment runs, brought to the next, app by app (DESIGN §4)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from promoter import gates
from promoter.discover import Cache
from promoter.errors import InvalidEditError, NotFoundError, PromoterError, RefusedError
from promoter.gatekeeper import arrivals
from promoter.hands import settle
from promoter.message import new_id
from promoter.outcome import Failed, Notice, Outcome
from promoter.pipeline import outcome_of, prepare, proposed, raise_if_no_override, recorded
from promoter.proposal.wanted import Wanted, options_of
from promoter.publish.push import Publisher
from promoter.rules import rules_of
from promoter.taking import take

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.gates import Arrival
    from promoter.git.repository import Snapshot
    from promoter.hands import Hands
    from promoter.image import ImageReference
    from promoter.options import BumpOptions, PromoteOptions
    from promoter.outcome import RunStatus
    from promoter.pipeline import Attempt
    from promoter.rules import Rules
    from promoter.taking import Taken

_Name = tuple[str, tuple[object, ...]]  # of one app's run, the same in each attempt


@dataclass
class _Session:
    """What lasts from one attempt to the next: identities, what is read, and what is proposed already."""

    hands: Hands
    publisher: Publisher
    ids: dict[_Name, str] = field(default_factory=dict)
    caches: dict[_Name, Cache] = field(default_factory=dict)
    proposed: dict[_Name, Outcome] = field(default_factory=dict)


@dataclass
class _Round:
    """One attempt: what became of each app, or becomes of it together with others.

    Those that are pushed are commits on top of each other up to ``tip``, and land as one. ``moves``
    counts the sites that change.
    """

    tip: Snapshot
    arrivals: Mapping[ImageReference, Arrival]
    moves: int = 0
    done: dict[_Name, Outcome] = field(default_factory=dict)
    pushes: dict[_Name, Attempt] = field(default_factory=dict)
    proposals: dict[_Name, Attempt] = field(default_factory=dict)


def promote(options: PromoteOptions, hands: Hands) -> Outcome:
    """Make the target run what the source runs, as far as both know the images; each app for itself.

    Raises PromoterError where nothing can be said of any app.
    """
    hands, snapshot = settle(options.run, hands)
    session = _Session(hands, Publisher(hands.repository))
    number = 0
    while True:
        number += 1
        rules = rules_of(options.run, hands.repository, snapshot)
        raise_if_no_override(options.run, rules)
        taken = take(options, rules, hands, snapshot)
        coming = [] if options.run.override else [one for run in taken.runs for one in _wanted(run)]
        this = _Round(snapshot, arrivals(hands, rules, snapshot, coming, datetime.now(UTC)))
        for _, runs in groupby(taken.runs, key=lambda run: run.request.app):
            _prepare(session, [*runs], rules, this, number)
        if not options.run.override:
            gates.raise_if_too_many(rules.environment, this.moves)
        if not (_is_stopped(options, taken, this) or _propose(session, rules, this, snapshot)):
            snapshot = hands.repository.refresh(snapshot)
            continue
        if this.pushes and not _is_stopped(options, taken, this):
            last = [*this.pushes.values()][-1]
            published = session.publisher.push(snapshot, this.tip.commit, last.promoter_id, number)
            if published.status == "again":
                snapshot = published.snapshot
                continue
            for name, one in this.pushes.items():
                this.done[name] = outcome_of("promote", one, landed=published.commit)
        return _folded(options, taken, this.done, snapshot, number)


def _wanted(run: BumpOptions) -> list[Wanted]:
    options = options_of(run)
    return [Wanted(image, run.request.app or "", run.origin, "", options) for image in run.request.images]


def _is_stopped(options: PromoteOptions, taken: Taken, this: _Round) -> bool:
    """Whether an app that was named is refused: then nothing of the run lands."""
    refused = taken.left or any(one.error is not None for one in this.done.values())
    return _is_named(options) and bool(refused)


def _is_named(options: PromoteOptions) -> bool:
    return bool(options.apps or options.images)


def _prepare(session: _Session, runs: Sequence[BumpOptions], rules: Rules, this: _Round, number: int) -> None:
    """Decide on one app, which goes whole or not at all: its builds' commits come on top of the others'."""
    alone = _Round(this.tip, this.arrivals)
    for run in runs:
        _decide(session, run, rules, alone, number)
    refused = [one for one in alone.done.values() if one.error is not None]
    if refused:
        this.done |= {name: one for name, one in alone.done.items() if one.error is not None}
        return
    this.tip, this.moves = alone.tip, this.moves + alone.moves
    this.done |= alone.done
    this.pushes |= alone.pushes
    this.proposals |= alone.proposals


def _decide(session: _Session, run: BumpOptions, rules: Rules, this: _Round, number: int) -> None:
    """Decide on what one build brings of an app."""
    name = (run.request.app or "", (run.origin.revision, run.origin.order))
    if name in session.proposed:
        this.done[name] = session.proposed[name]
        return
    hands, promoter_id = session.hands, session.ids.setdefault(name, new_id())
    cache = session.caches.setdefault(name, Cache())
    try:
        wanted = hands.look_up(run, rules.config)
        attempt = prepare(wanted, rules, hands, this.tip, cache, promoter_id, number, this.arrivals)
    except (NotFoundError, InvalidEditError, RefusedError) as error:
        this.done[name] = _refused(run, name[0], error)
        return
    this.moves += attempt.plan.moves
    if attempt.is_over:
        this.done[name] = outcome_of("promote", attempt)
    elif attempt.way == "pull-request":
        this.proposals[name] = attempt
    else:
        commit = hands.write_commit(this.tip, attempt.plan, promoter_id, options=recorded(wanted))
        hands.repository.wrote(this.tip.commit, commit)
        this.tip = replace(this.tip, commit=commit)
        this.pushes[name] = attempt


def _propose(session: _Session, rules: Rules, this: _Round, base: Snapshot) -> bool:
    """Have pull requests hold what goes that way. False where the base has to be read anew."""
    if not this.proposals:
        return True
    from promoter.publish.propose import propose

    grouped: dict[str, list[_Name]] = {}
    for name in this.proposals:
        together = rules.environment.pull_request.group == "environment"
        grouped.setdefault("" if together else name[0], []).append(name)
    for names in grouped.values():
        # Commits of others that are pushed later are not on the base yet.
        attempts = [replace(this.proposals[name], snapshot=base) for name in names]
        try:
            converged = propose(session.hands, session.publisher, attempts)
        except (NotFoundError, InvalidEditError, RefusedError) as error:
            this.done |= {
                name: _refused(one.options, name[0], error) for name, one in zip(names, attempts, strict=True)
            }
            continue
        if converged is None:
            return False
        told = {name: proposed("promote", one, converged) for name, one in zip(names, attempts, strict=True)}
        this.done |= told
        session.proposed |= told
    return True


def _refused(run: BumpOptions, app: str, error: PromoterError) -> Outcome:
    return Outcome(
        "promote", "refused", error.reason, environment=run.environment, app=app, error=Failed.of(error)
    )


# --- all apps together ------------------------------------------------------------------------

_ORDER: tuple[RunStatus, ...] = ("promoted", "proposed", "planned", "unchanged", "superseded")


def _folded(
    options: PromoteOptions, taken: Taken, done: dict[_Name, Outcome], snapshot: Snapshot, number: int
) -> Outcome:
    """One outcome of all apps. An app that was named decides the exit code, and so do all together."""
    outcomes = [*done.values(), *(_refused(options.run, app, error) for app, error in taken.left)]
    refused = [one for one in outcomes if one.error is not None]
    went = [one for one in outcomes if one.error is None]
    failing = refused[0] if refused and (_is_named(options) or not (went or taken.same)) else None
    status: RunStatus = next((one for one in _ORDER if any(each.status == one for each in went)), "unchanged")
    apps = {one.app for one in outcomes} | {change.app for change in taken.same}
    reason = next((one.reason for one in went if one.status == status), "equal")
    if not (outcomes or taken.same):
        reason = "nothing-in-common"
    others = (
        Notice(one.reason, f"{one.app} is left: {one.error.message}", one.error.file, one.error.line)
        for one in refused
        if one is not failing and one.error is not None
    )
    return Outcome(
        verb="promote",
        status="refused" if failing is not None else status,
        reason=failing.reason if failing is not None else reason,
        environment=options.run.environment,
        app=next(iter(apps)) if len(apps) == 1 else None,
        base=snapshot.base,
        commit_sha=next((one.commit_sha for one in went if one.commit_sha and failing is None), None),
        attempts=number,
        pull_requests=tuple(dict.fromkeys(report for one in outcomes for report in one.pull_requests)),
        changes=(*(change for one in outcomes for change in one.changes), *taken.same),
        gates=tuple(dict.fromkeys(gate for one in outcomes for gate in one.gates)),
        findings=tuple(finding for one in outcomes for finding in one.findings),
        validation=next((one.validation for one in outcomes if one.validation is not None), None),
        warnings=(
            *taken.notices,
            *dict.fromkeys(notice for one in outcomes for notice in one.warnings),
            *others,
        ),
        error=failing.error if failing is not None else None,
        edits=tuple(edit for one in outcomes for edit in one.edits),
    )
