"""All open promotions brought up to date with the base: rebuilt, closed, gated, landed (DESIGN §9)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from promoter.errors import ConfigError, InterruptedRunError, PromoterError
from promoter.gatekeeper import closed_gates
from promoter.hands import settle
from promoter.outcome import Failed, Notice, Outcome
from promoter.publish.converge import Converged, Table, converge, is_ready_but_behind
from promoter.publish.draft import Desk
from promoter.publish.listing import Promotion, open_promotions
from promoter.publish.push import Publisher
from promoter.rules import Rules, config_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from promoter.config import Config
    from promoter.discover import Cache
    from promoter.forges.port import Forge
    from promoter.git.repository import Snapshot
    from promoter.hands import Hands
    from promoter.image import ImageReference
    from promoter.options import BumpOptions
    from promoter.outcome import RunStatus
    from promoter.publish.existing import Known


@dataclass
class _Run:
    """What has come of it so far."""

    hands: Hands
    template: BumpOptions
    forge: Forge
    snapshot: Snapshot
    publisher: Publisher
    caches: dict[tuple[ImageReference, ...], Cache] = field(default_factory=dict)
    results: dict[str, Converged] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    errors: list[PromoterError] = field(default_factory=list)


def sync(template: BumpOptions, hands: Hands) -> Outcome:
    """Go over all open promotions, wherever environments live; one that fails does not stop the others.

    Only those of ``template``'s environment where it names one. Raises PromoterError where
    not even a list of them can be had.
    """
    if template.environment is not None:
        there, snapshot = settle(template, hands)
        return _outcome([_run(template, there, snapshot, {template.environment})])
    snapshot = hands.repository.open(hands.base)
    config = config_of(template, hands.repository, snapshot)
    places: list[tuple[Hands, set[str]]] = [(hands, set())]
    notices = []
    for environment in config.environments.values():
        try:
            home = hands.home(environment, snapshot) or hands
        except ConfigError as error:  # it is synced from there, or not at all
            text = f"{environment.name} is not looked at: {error.message}"
            notices.append(Notice("not-synced", text, error.file, error.line))
            continue
        names = next((names for place, names in places if place is home), None)
        if names is None:
            places.append((home, names := set()))
        names.add(environment.name)
    runs = [_run(template, hands, snapshot, places[0][1])]
    for place, names in places[1:]:
        try:
            runs.append(_run(template, place, place.repository.latest(place.base), names))
        except InterruptedRunError:
            raise
        except PromoterError as error:
            text = f"{', '.join(sorted(names))} is not looked at: {error.message}"
            notices.append(Notice("not-synced", text, error.file, error.line))
    runs[0].notices.extend(notices)
    return _outcome(runs)


def _run(template: BumpOptions, hands: Hands, snapshot: Snapshot, names: Container[str]) -> _Run:
    """Go over the open promotions of one branch of one repository, where these environments live."""
    config = config_of(template, hands.repository, snapshot)
    run = _Run(hands, template, hands.forge(config), snapshot, Publisher(hands.repository))
    promotions = [one for one in _open(run, config) if one.environment in names]
    for promotion in promotions:
        _bring_up_to_date(run, promotion)
    _give_turn(run, promotions)
    return run


def _open(run: _Run, config: Config) -> Iterator[Promotion]:
    """The open promotions, oldest first; those that nobody has rules for are told of."""
    repository, base = run.hands.repository, run.snapshot.base
    for promotion in open_promotions(repository, run.snapshot, config, run.forge):
        if promotion.environment in config.environments:
            yield promotion
        else:
            text = f"{promotion.name}: {base} has no environment {promotion.environment!r} any more"
            run.notices.append(Notice("no-environment", f"{text}: close the pull request by hand"))


def _bring_up_to_date(run: _Run, promotion: Promotion, *, bring_current: bool = False) -> None:
    known: Known | None = promotion.known
    attempt = 0
    try:
        while True:
            attempt += 1
            result = _attempt(run, promotion, known, attempt, bring_current=bring_current)
            if result is not None:
                break
            known = None
            run.snapshot = run.hands.repository.refresh(run.snapshot)
    except InterruptedRunError:
        raise
    except PromoterError as error:
        error.message = f"{promotion.name}: {error.message}"
        run.errors.append(error)
        return
    run.results[promotion.name] = result
    if result.report is not None and result.report.operation == "merged":
        run.snapshot = run.hands.repository.refresh(run.snapshot)


def _attempt(
    run: _Run, promotion: Promotion, known: Known | None, attempt: int, *, bring_current: bool
) -> Converged | None:
    config = config_of(run.template, run.hands.repository, run.snapshot)
    rules = Rules(config, config.environments[promotion.environment])
    template = replace(run.template, environment=promotion.environment)
    hands = run.hands
    effects = (hands.write_commit, hands.validate)
    desk = Desk(hands.repository, template, rules, run.snapshot, *effects, run.caches)
    keeper = partial(closed_gates, hands, rules, run.snapshot)
    table = Table(desk, run.forge, run.publisher, keeper, attempt, bring_current=bring_current)
    return converge(table, promotion.name, promotion.key, (), known)


def _give_turn(run: _Run, promotions: list[Promotion]) -> None:
    """Where heads must be up to date, the first that waits for nothing else is; the next after its merge."""
    done = run.results
    conditions = [(one, done[one.name].condition) for one in promotions if one.name in done]
    demanding = [(one, condition) for one, condition in conditions if condition.must_be_current]
    if any(condition.approved and not condition.behind for _, condition in demanding):
        return
    first = next((one for one, condition in demanding if is_ready_but_behind(condition)), None)
    if first is not None:
        _bring_up_to_date(run, replace(first, known=None), bring_current=True)


def _outcome(runs: Sequence[_Run]) -> Outcome:
    results = [one for run in runs for one in run.results.values()]
    errors = [error for run in runs for error in run.errors]
    reports = [one.report for one in results if one.report is not None]
    operations = {one.operation for one in reports}
    error = errors[0] if errors else None
    landed = [run.snapshot.commit for run in runs if _has_landed(run)]
    heads = [one.head for one in results if one.head is not None]
    status: RunStatus = "unchanged"
    if error is not None:
        status = "refused" if error.exit_code in (4, 5, 6) else "failed"
    elif "merged" in operations:
        status = "promoted"
    elif operations & {"created", "updated", "unchanged"}:
        status = "proposed"
    others = (Notice(one.reason, one.message, one.file, one.line) for one in errors[1:])
    notices = (notice for one in results for notice in one.notices)
    return Outcome(
        verb="sync",
        status=status,
        reason=error.reason if error is not None else ("synced" if reports else "nothing-open"),
        base=runs[0].snapshot.base,
        commit_sha=next(iter({"promoted": landed, "proposed": heads}.get(status, ())), None),
        pull_requests=tuple(reports),
        gates=tuple(dict.fromkeys(gate for one in results for gate in one.gates)),
        warnings=(*(notice for run in runs for notice in run.notices), *notices, *others),
        error=Failed.of(error) if error is not None else None,
    )


def _has_landed(run: _Run) -> bool:
    return any(one.report is not None and one.report.operation == "merged" for one in run.results.values())
