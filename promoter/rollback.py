"""``rollback``: what ran before, from history, through the same line; and it sticks (DESIGN §8)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, dropwhile
from typing import TYPE_CHECKING

from promoter.errors import NotFoundError, RefusedError
from promoter.holds import UNKNOWN, Hold, told
from promoter.image import ImageReference
from promoter.intent import Request
from promoter.past.sites import origin_of
from promoter.past.standing import iterate_states
from promoter.past.timeline import Edge
from promoter.pipeline import land
from promoter.rules import rule_of
from promoter.version import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.edit import Version
    from promoter.git.repository import Repository, Snapshot
    from promoter.hands import Hands
    from promoter.options import BumpOptions, RollbackOptions
    from promoter.outcome import Outcome
    from promoter.past.standing import State
    from promoter.rules import Rules

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def rollback(options: RollbackOptions, hands: Hands) -> Outcome:
    """Land, or propose, what the app's images were before, with a hold that keeps later bumps out.

    Raises PromoterError; then nothing has changed.
    """
    asked_at = datetime.now(UTC)
    meant: list[tuple[State, State]] = []
    holds: list[Hold] = []

    def aim(hands: Hands, rules: Rules, snapshot: Snapshot) -> BumpOptions:
        if meant:  # whatever has landed since, the way back leads to what was meant then
            present = _present(options, hands.repository, rules, snapshot)
        else:
            meant.append(_find(options, hands.repository, rules, snapshot))
            present = meant[0][0]
        before, target = meant[0]
        images = _images(options, rules, present, target)
        for image in images:
            if hands.exists(image) is False:
                raise NotFoundError(
                    f"{image} ran before, but its registry has it no more",
                    next_step="choose another one with --to, or build it again",
                    reason="image-missing",
                )
        reason = options.reason or f"rolled back from {_told(before)} to {_told(target)}"
        by = options.run.origin.actor or UNKNOWN
        hold = Hold(rules.environment.name, options.app, reason, by, asked_at, options.until)
        holds[:] = [hold]
        landing, origin = target.landing, options.run.origin
        trailers = () if isinstance(landing, Edge) else landing.trailers
        origins = {origin_of(trailers, one, origin) for one in images}
        if len(origins) == 1:  # else each has a build of its own, and a commit tells of one
            origin = origins.pop()
        return replace(
            options.run,
            request=Request(images, options.app),
            origin=origin,
            skip_missing=True,
            hold=hold,
            came_from=f"{rules.environment.name} {landing.commit}",
        )

    outcome = land("rollback", options.run, hands, aim)
    if outcome.status not in ("promoted", "proposed", "planned"):
        return outcome
    return replace(outcome, holds=tuple(told(hold, asked_at) for hold in holds))


# --- which state is meant ----------------------------------------------------------------------


def _find(
    options: RollbackOptions, repository: Repository, rules: Rules, snapshot: Snapshot
) -> tuple[State, State]:
    """The present state and the one to go back to.

    Raises NotFoundError where there is none, or none within the history that may be looked at.
    """
    past = iterate_states(repository, snapshot, rules.config, rules.environment, options.app)
    present = _known(next(past, None), options, rules)
    if options.to is not None:
        return present, _named(options.to, repository, present, past, options.app)
    last, steps = present, options.steps
    # What each image that still runs is last known to have run: one that came or went makes no step.
    seen = {name: _ran(present, name) for name in (*present.versions, *present.several)}
    for state in _before(rules.environment.name, present, past):
        last = state
        ran = {name: versions for name in seen if (versions := _ran(state, name))}
        if any(versions != seen[name] for name, versions in ran.items()):
            seen, steps = seen | ran, steps - 1
        if steps == 0:
            return present, state
    back = f"{options.steps} changes back" if options.steps > 1 else "before"
    raise _not_known(last, f"{options.app} ran nothing else in {rules.environment.name} {back}")


def _present(options: RollbackOptions, repository: Repository, rules: Rules, snapshot: Snapshot) -> State:
    """What the app runs now."""
    past = iterate_states(repository, snapshot, rules.config, rules.environment, options.app)
    return _known(next(past, None), options, rules)


def _known(present: State | None, options: RollbackOptions, rules: Rules) -> State:
    if present is None or not (present.versions or present.several):
        raise NotFoundError(
            f"{rules.environment.name} does not run {options.app}",
            next_step="promoter status lists the apps",
            reason="image-not-found",
        )
    return present


def _ran(state: State, name: str) -> frozenset[Version]:
    one = state.versions.get(name)
    return frozenset([one] if one is not None else state.several.get(name, ()))


def _before(environment: str, present: State, past: Iterator[State]) -> Iterator[State]:
    """The states before. A rollback goes on from the state that it went back to, or it would undo itself."""
    landing = present.landing
    trailers = () if isinstance(landing, Edge) else landing.trailers
    froms = (value.partition(" ") for key, value in trailers if key == "Promoter-From")
    gone_back = {commit for name, _, commit in froms if name == environment}
    if gone_back:
        past = dropwhile(lambda state: state.landing.commit not in gone_back, past)
        next(past, None)
    yield from past


def _named(ref: str, repository: Repository, present: State, past: Iterator[State], app: str) -> State:
    """The newest state that the caller's tag, reference or commit names."""
    state = present
    for state in chain([present], past):
        if any(_is_called(name, version, ref) for name, version in state.versions.items()):
            return state
        if _COMMIT.fullmatch(ref) and _stands_at(repository, state, ref):
            return state
    raise _not_known(state, f"{app} is not known to have run {ref} there")


def _is_called(name: str, version: tuple[str | None, str | None], ref: str) -> bool:
    tag, digest = version
    return ref in (tag, digest, str(ImageReference(name, tag, digest)), str(ImageReference(name, tag, None)))


def _stands_at(repository: Repository, state: State, ref: str) -> bool:
    """Whether the state is the one at a commit, seen from newer states to older ones."""
    found = repository.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.code != 0:
        return False
    return repository.git.run("merge-base", "--is-ancestor", state.landing.commit, found.text).code == 0


def _not_known(last: State, message: str) -> NotFoundError:
    if isinstance(last.landing, Edge):
        return NotFoundError(
            f"{message}: history before {last.landing.commit[:12]} was not looked at",
            next_step="promoter bump --allow-downgrade --again lands a version that you name",
            reason="history-unknown",
        )
    return NotFoundError(message, next_step="promoter history lists what ran there", reason="nothing-before")


# --- what that state runs ----------------------------------------------------------------------


def _images(
    options: RollbackOptions, rules: Rules, present: State, target: State
) -> tuple[ImageReference, ...]:
    """The images that go back. Raises NotFoundError for a canary, RefusedError where one goes forward."""
    for name, versions in target.several.items():
        if not _ran(present, name):
            continue
        tags = ", ".join(tag or digest or "" for tag, digest in versions)
        raise NotFoundError(
            f"{name} ran in several versions then: {tags}",
            next_step="name a state with --to",
            reason="ambiguous-image",
        )
    there = {
        name: ImageReference(name, *version)
        for name, version in target.versions.items()
        if _ran(present, name)
    }
    changed = [image for name, image in there.items() if present.versions.get(name) != target.versions[name]]
    images = [image for image in changed if image.tag or image.digest] or [*there.values()]
    if not images:
        raise NotFoundError(
            f"{options.app} ran nothing then", next_step="name a state with --to", reason="nothing-before"
        )
    for image in images:
        rule = rule_of(image, rules.config)
        order = rule.order if rule is not None else "auto"
        now = sorted(tag or "" for tag, _ in _ran(present, image.name))
        newer = image.tag and all(tag and compare(tag, image.tag, order) == -1 for tag in now)
        if newer and not options.run.policy.again:
            raise RefusedError(
                f"{image} is newer than {', '.join(now)}, which runs there: that is no way back",
                next_step="--again goes there all the same; promoter promote and bump go forward",
                reason="not-older",
            )
    return tuple(images)


def _told(state: State) -> str:
    """The versions for people."""
    versions = [*state.versions.values(), *(one for several in state.several.values() for one in several)]
    return ", ".join(dict.fromkeys(tag or digest or "no version" for tag, digest in versions)) or "nothing"
