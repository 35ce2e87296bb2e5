"""Hold an app in an environment, let it go, and tell which ones are held (DESIGN §8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from promoter.errors import InterruptedRunError, PromoterError
from promoter.git.repository import REGULAR, Entry
from promoter.hands import settle, view
from promoter.holds import Hold, files_of, is_over, path_of, read_holds, render, shown, told
from promoter.outcome import Notice, Outcome
from promoter.proposal.branch_name import branch_name
from promoter.proposal.inert import code, one_line, plain
from promoter.publish.files import Asked, FileChange, land_files
from promoter.rules import config_of, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.config import Config, Environment
    from promoter.git.repository import Repository, Snapshot
    from promoter.hands import Hands
    from promoter.options import BumpOptions
    from promoter.rules import Rules


def hold(options: BumpOptions, hands: Hands, wanted: Hold) -> Outcome:
    """Hold an app in the options' environment; one that is held already gets this reason and end.

    ``wanted`` knows neither the environment nor since when. Raises as `land_files`.
    """
    place, snapshot = settle(options, hands)
    repository, now = place.repository, datetime.now(UTC)
    stands = wanted

    def change(base: Snapshot, head: Snapshot | None) -> FileChange:
        nonlocal stands
        rules = rules_of(options, repository, base)
        asked = replace(wanted, environment=rules.environment.name, reason=one_line(wanted.reason))
        present = _standing(repository, base, asked, now)
        if present is not None and _tell_the_same(present, asked):
            stands = present
            return _change(rules, asked, "hold", {}, "equal")
        proposed = _standing(repository, head, asked, now) if head is not None else None
        if proposed is not None and _tell_the_same(proposed, asked):
            stands = proposed
        else:
            since = present.since if present is not None else None
            stands = replace(asked, since=since or now)
        entry = _entry(repository, base, asked) or Entry(REGULAR, "", path_of(asked.environment, asked.app))
        return _change(rules, stands, "hold", {entry: render(stands)}, "equal")

    notices = _unused(options, repository, snapshot, wanted.app)
    outcome = land_files(place, snapshot, Asked("hold", options, change))
    return replace(outcome, holds=(told(stands, now),), warnings=(*outcome.warnings, *notices))


def _unused(options: BumpOptions, repository: Repository, snapshot: Snapshot, app: str) -> tuple[Notice, ...]:
    """A warning where the environment runs nothing of the app: a name that is misspelt holds nothing."""
    from promoter.inventory import running  # which reads the whole environment

    rules = rules_of(options, repository, snapshot)
    apps = list(
        dict.fromkeys(one.app for one in running(repository, snapshot, rules.config, rules.environment))
    )
    if app in apps or any(one.name == app for one in rules.config.apps):
        return ()
    close = get_close_matches(app, apps, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    text = f"no image of {app!r} runs in {rules.environment.name}: the hold keeps nothing back{hint}"
    return (Notice("app-not-used", text),)


def unhold(options: BumpOptions, hands: Hands, app: str) -> Outcome:
    """Let an app go in the options' environment. Raises as `land_files`."""
    place, snapshot = settle(options, hands)
    repository = place.repository

    def change(base: Snapshot, head: Snapshot | None) -> FileChange:  # noqa: ARG001 - what a head says is the same
        rules = rules_of(options, repository, base)
        held = Hold(rules.environment.name, app)
        entry = _entry(repository, base, held)
        return _change(rules, held, "unhold", {entry: None} if entry is not None else {}, "not-held")

    return land_files(place, snapshot, Asked("unhold", options, change))


def listed(options: BumpOptions, hands: Hands) -> Outcome:
    """The holds of the options' environment, or of all, wherever these live."""
    repository = hands.repository
    snapshot = repository.latest(hands.base)
    config, name = config_of(options, repository, snapshot), None
    holds: list[Hold] = []
    if options.environment is not None or options.paths:
        name = rules_of(options, repository, snapshot).environment.name
    else:  # those of environments that are no more block nothing, and are still there
        holds += (
            one for one in read_holds(repository, snapshot) if one.environment not in config.environments
        )
    notices: list[Notice] = []
    for environment in config.environments.values():
        if name in (None, environment.name):
            holds += _of(environment, config, hands, snapshot, notices)
    now = datetime.now(UTC)
    return Outcome(
        verb="hold",
        status="unchanged",
        reason="listed",
        environment=name,
        base=snapshot.base,
        warnings=tuple(notices),
        holds=tuple(told(one, now) for one in holds),
    )


def _of(
    environment: Environment, config: Config, hands: Hands, snapshot: Snapshot, notices: list[Notice]
) -> tuple[Hold, ...]:
    """One environment's; what cannot be read elsewhere does not hide the others."""
    try:
        there = view(hands, config, snapshot, environment)
    except InterruptedRunError:
        raise
    except PromoterError as error:
        notices.append(Notice(error.reason, f"holds of {environment.name} are not known: {error.message}"))
        return ()
    return read_holds(there.repository, there.snapshot, environment.name)


def _standing(repository: Repository, snapshot: Snapshot, like: Hold, now: datetime) -> Hold | None:
    """The hold that there is on that app, unless it is over."""
    found = read_holds(repository, snapshot, like.environment)
    return next((one for one in found if one.app == like.app and not is_over(one, now)), None)


def _tell_the_same(one: Hold, other: Hold) -> bool:
    """Whoever wrote them, and when."""
    return (one.reason, one.until) == (other.reason, other.until)


def _entry(repository: Repository, snapshot: Snapshot, one: Hold) -> Entry | None:
    path = path_of(one.environment, one.app)
    files = files_of(repository, snapshot, one.environment)
    found = next((each for each in files if each.path == path), None)
    # A link is replaced by a file, never followed.
    return found if found is None or found.is_regular else Entry(REGULAR, "", path)


def _change(
    rules: Rules, one: Hold, verb: str, files: Mapping[Entry, bytes | None], settled: str
) -> FileChange:
    settings = rules.environment.pull_request
    # No environment is called like that: names begin with a letter or a digit.
    own = replace(settings, branch_prefix=f"{settings.branch_prefix}/_hold", group="app")
    return FileChange(
        rules,
        files,
        branch_name(own, one.environment, one.app),
        f"{verb} {plain(one.app)} in {plain(one.environment)}",
        "\n\n".join(_sentences(one, verb)),
        settled,
        one.environment,
        one.app,
    )


def _sentences(one: Hold, verb: str) -> Iterator[str]:
    """What a pull request tells, in Markdown."""
    app, environment = code(one.app), code(one.environment)
    if verb == "unhold":
        yield f"Images of {app} land in {environment} again once this is merged."
        return
    end = f", until {shown(one.until)}" if one.until is not None else ", until somebody lets it go"
    yield f"No image of {app} lands in {environment} once this is merged{end}."
    yield f"Asked for by {code(one.by)}." + (f" Reason: {code(one.reason)}" if one.reason else "")
