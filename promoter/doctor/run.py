"""The examination: from the address to every environment, going on after what fails as far as it can.

address → repository → configuration → credential → each environment → this machine
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from promoter.address import parse_address
from promoter.config import environment as find_environment
from promoter.credentials import choose_credential
from promoter.doctor import credential as tokens
from promoter.doctor import environment as branches
from promoter.doctor.machine import clock, programs
from promoter.doctor.model import MACHINE, Check, failed, untold
from promoter.doctor.repository import reach
from promoter.errors import DeniedError, InterruptedRunError, PromoterError
from promoter.forges.app_token import CONTENTS
from promoter.forges.connect import ca_file, connect
from promoter.forges.inspect import inspector, kind_of
from promoter.forges.locate import PLAIN_GIT, locate
from promoter.forges.permissions import needed
from promoter.forges.probe import probe
from promoter.outcome import Failed, Outcome
from promoter.places import elsewhere
from promoter.rules import config_of, is_gated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from promoter.config import Config, Environment
    from promoter.credentials import Credential
    from promoter.deadline import Deadline
    from promoter.doctor.repository import Reached
    from promoter.forges.inspect import Inspector, RepositoryFacts
    from promoter.forges.locate import Place
    from promoter.options import BumpOptions
    from promoter.session import Caller


@dataclass
class _Examination:
    """What the steps share: the ways out, and the checks so far."""

    deadline: Deadline
    debug: Callable[[str], None]
    stack: contextlib.ExitStack
    checks: list[Check] = field(default_factory=list)
    places: dict[tuple[str, str | None], Reached | None] = field(default_factory=dict)

    def reach(self, caller: Caller) -> Reached | None:
        """A repository, looked at once however many environments live in it."""
        key = (caller.address, caller.base)
        if key not in self.places:
            about = _shown(caller)
            found, checks = reach(caller, about, self.deadline, self.debug, self.stack)
            self.places[key] = found
            known = {one.name for one in self.checks if one.about == MACHINE}
            self.checks += [one for one in checks if one.about != MACHINE or one.name not in known]
        return self.places[key]


def doctor(
    asked: BumpOptions,
    caller: Caller,
    deadline: Deadline,
    debug: Callable[[str], None],
    names: Sequence[str],
) -> Outcome:
    """Look at all that a run for these environments, by default for all, depends on. Nothing is written.

    Raises UsageError for an address that is none.
    """
    about = _shown(caller)
    base = caller.base
    with contextlib.ExitStack() as stack:
        run = _Examination(deadline, debug, stack)
        main = run.reach(caller)
        if main is not None:
            base = main.snapshot.base
            _examine(run, main, asked, names)
        else:
            run.checks.append(Check("configuration", about, "skipped", "the repository cannot be read"))
    return _outcome(run.checks, names, base)


def _examine(run: _Examination, main: Reached, asked: BumpOptions, names: Sequence[str]) -> None:
    try:
        config = config_of(asked, main.repository, main.snapshot)
        chosen = [find_environment(config, name) for name in dict.fromkeys(names)]
    except InterruptedRunError:
        raise
    except PromoterError as error:
        run.checks.append(_no_configuration(main.about, error, names))
        _examine_place(run, main, None, [])
        run.checks.append(_clock(run, main))
        return
    chosen = chosen or list(config.environments.values())
    count = len(config.environments)
    listed = f"{count} environment{'s' if count > 1 else ''}: {', '.join(config.environments)}"
    run.checks.append(Check("configuration", main.about, "ok", listed))
    run.checks.append(_clock(run, main))
    environ = main.caller.environ
    paths = [entry.path for entry in main.repository.files(main.snapshot, ["."])]
    run.checks += programs(config, paths, environ, run.deadline)
    for place, environments in _by_place(run, main, chosen):
        _examine_place(run, place, config, environments)


def _no_configuration(about: str, error: PromoterError, names: Sequence[str]) -> Check:
    """A repository without a file is good for runs with --path."""
    found = failed("configuration", about, error)
    if error.reason != "no-configuration" or names:
        return found
    return replace(found, state="warning", why="only runs with --path work", exit=None)


def _clock(run: _Examination, main: Reached) -> Check:
    caller, remote = main.caller, main.repository.remote
    if remote.host is None and not remote.is_ssh:
        return Check("clock", MACHINE, "skipped", "there is no server to compare with")
    address = parse_address(caller.address)
    url = f"{remote.url}/info/refs?service=git-upload-pack" if remote.host else address.origin
    return clock(url, ca_file(caller.environ), run.deadline, caller.verbose)


def _by_place(
    run: _Examination, main: Reached, environments: Sequence[Environment]
) -> list[tuple[Reached, list[Environment]]]:
    """The environments by the repository and branch that they live in; ``main`` comes first."""
    found: dict[int, tuple[Reached, list[Environment]]] = {id(main): (main, [])}
    for one in environments:
        try:
            there = elsewhere(main.caller, main.caller, one, main.snapshot)
        except PromoterError as error:
            why = "its promotions cannot land"
            run.checks.append(failed("repository", one.name, error, why))
            continue
        place = main if there is None else run.reach(there)
        if place is None:
            seen = "the repository that it lives in cannot be read"
            run.checks.append(Check("branch", one.name, "skipped", seen))
            continue
        found.setdefault(id(place), (place, []))[1].append(one)
    return list(found.values())


def _examine_place(
    run: _Examination, place: Reached, config: Config | None, environments: Sequence[Environment]
) -> None:
    """The credential for a place, and the environments there."""
    about, caller = place.about, place.caller
    gated = config is not None and is_gated(config)
    features = tokens.features_of(environments, gated=gated)
    address = parse_address(caller.address)
    try:
        credential = choose_credential(address, caller.environ)
        where = _locate(run, place, config)
        kind = kind_of(where.kind, credential)
        permissions = needed(config) if config is not None and features.pull_requests else CONTENTS
        asks = inspector(where, credential, run.deadline, caller.verbose, caller.environ, permissions)
    except InterruptedRunError:
        raise
    except PromoterError as error:
        run.checks.append(_no_forge(about, error, features))
        return
    facts = None
    if asks is not None:
        with _telling(run, "token", about, denies=features.pull_requests):
            facts = asks.token()
    if address.transport != "path":
        run.checks.append(
            tokens.described(credential, facts.kind if facts else kind, place.repository.remote, about)
        )
    if features.pull_requests and where.kind != "git":
        if asks is None and credential.kind != "job":
            with _telling(run, "token", about, denies=True):
                connect(where, credential, run.deadline, caller.verbose, caller.environ, permissions)
        else:
            run.checks.append(tokens.starts_checks(facts.kind if facts else kind, about))
    if facts is not None:
        granted = credential.kind == "app"  # the exchange has asked for all that is used
        run.checks += tokens.judged(facts, features, about, datetime.now(UTC), granted=granted)
    settings = None
    if asks is not None:
        with _telling(run, "role", about, denies=features.pull_requests):
            settings = asks.repository()
            run.checks += tokens.role(settings, features, about)
    for one in environments:
        if asks is None:
            run.checks.append(Check("branch", one.name, "skipped", _unasked(where, credential)))
        elif settings is None:
            seen = "the repository's settings could not be read"
            run.checks.append(Check("branch", one.name, "skipped", seen))
        else:
            _examine_environment(run, place, asks, settings, one, gated=gated)


def _no_forge(about: str, error: PromoterError, features: tokens.Features) -> Check:
    """The forge cannot be told, which pushes do not ask for, or the credential is none for it."""
    if error.reason != "forge-unknown":
        return failed("credential", about, error)
    return failed("forge", about, error) if features.pull_requests else untold("forge", about, error)


def _locate(run: _Examination, place: Reached, config: Config | None) -> Place:
    caller = place.caller
    address = parse_address(caller.address)
    if address.transport == "path":
        return PLAIN_GIT
    return locate(
        address,
        caller.environ,
        forge_type=config.forge_type if config is not None else None,
        forge_api=caller.forge_api,
        probe=lambda web: probe(web, ca_file(caller.environ), run.deadline, caller.verbose),
    )


def _unasked(place: Place, credential: Credential) -> str:
    """Why there is nobody to ask for a branch's protection."""
    if place.kind == "git":
        return "plain Git tells nothing of protection; a pull request is a branch that somebody merges"
    if credential.kind == "job":
        return "CI_JOB_TOKEN may not ask for the branch's protection"
    return "there is no token to ask for the branch's protection with"


def _examine_environment(
    run: _Examination,
    place: Reached,
    asks: Inspector,
    settings: RepositoryFacts,
    environment: Environment,
    *,
    gated: bool,
) -> None:
    name = environment.name
    base = place.snapshot.base
    with _telling(run, "branch", name):
        branch = asks.branch(base)
        run.checks += branches.judged(environment, base, settings, branch, gated=gated)
    if "pull-request" in (environment.publish, environment.on_refused):
        with _telling(run, "people", name):
            absent = asks.absent(environment.pull_request)
            run.checks += _people(name, absent)


def _people(about: str, absent: Sequence[str]) -> list[Check]:
    if not absent:
        return []
    seen = f"not there, or not for this token to see: {', '.join(absent)}"
    why = "a pull request is opened without them, with a warning"
    step = "correct the names under pull-request, or give them access to the repository"
    return [Check("people", about, "warning", seen, why, step)]


@contextlib.contextmanager
def _telling(run: _Examination, name: str, about: str, *, denies: bool = False) -> Iterator[None]:
    """What the token may not see is unknown, unless a run is denied it, too; any other error is a problem."""
    try:
        yield
    except InterruptedRunError:
        raise
    except DeniedError as error:
        is_token = denies or error.reason == "authentication"
        run.checks.append(failed(name, about, error) if is_token else untold(name, about, error))
    except PromoterError as error:
        run.checks.append(failed(name, about, error))


def _shown(caller: Caller) -> str:
    """What people call the place: its address, and the branch where one is named."""
    url = parse_address(caller.address).url.removesuffix(".git")
    return f"{url} at {caller.base}" if caller.base else url


def _outcome(checks: list[Check], names: Sequence[str], base: str | None) -> Outcome:
    """The checks in order; the first problem says how the run ends."""
    problems = [one for one in checks if one.state == "problem"]
    error = None
    if problems:
        first, more = problems[0], len(problems) - 1
        rest = f" (and {more} more problem{'s' if more > 1 else ''})" if more else ""
        error = Failed(first.exit or 8, f"{first.about}: {first.seen}{rest}", next=first.next or None)
    return Outcome(
        verb="doctor",
        status="failed" if problems else "unchanged",
        reason="problem" if problems else "checked",
        environment=names[0] if len(names) == 1 else None,
        base=base,
        error=error,
        checks=tuple(checks),
    )
