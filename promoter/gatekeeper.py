"""The facts that gates are judged by, read where they stand, and what they make of the gates."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from promoter.decide import is_same
from promoter.gates import Arrival, frozen, held, not_arrived
from promoter.hands import view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.coming import Coming
    from promoter.forges.port import CheckState
    from promoter.gates import Gate
    from promoter.git.repository import Snapshot
    from promoter.hands import Hands, View
    from promoter.holds import Hold
    from promoter.image import ImageReference
    from promoter.past.standing import Since
    from promoter.proposal.wanted import Wanted
    from promoter.rules import Rules


def closed_gates(
    hands: Hands,
    rules: Rules,
    snapshot: Snapshot,
    coming: Sequence[Coming],
    known: Mapping[ImageReference, Arrival] = MappingProxyType({}),
) -> tuple[Gate, ...]:
    """What stands against landing these images in the environment now.

    ``known`` are arrivals that have been looked up for this attempt already.
    A run whose override counts passes all gates but holds, which end only as DESIGN §8 says;
    what ran there before need not pass through another environment again.
    """
    environment, now = rules.environment, datetime.now(UTC)
    gates = list(held(_holds(hands, rules, snapshot, coming), now))
    wanted = [one.wanted for one in coming]
    checked = [one for one in wanted if not (one.override and environment.allow_override)]
    arriving = [one for one in checked if not one.is_rollback]
    missing = [one for one in arriving if one.image not in known]
    found = {**known, **arrivals(hands, rules, snapshot, missing, now)}
    images = dict.fromkeys(one.image for one in arriving)
    gates += not_arrived(environment, [found[image] for image in images if image in found], now)
    if checked:
        gates += frozen(environment, now)
    return tuple(gates)


def _holds(hands: Hands, rules: Rules, snapshot: Snapshot, coming: Sequence[Coming]) -> list[Hold]:
    """The holds on the apps of these images, but for those that a run lifts or replaces itself."""
    from promoter.holds import read_holds

    apps: set[str] = set()
    for one in coming:
        own = {one.wanted.app} if one.wanted.holds else set()
        apps |= set() if one.wanted.lifts else one.apps - own
    found = read_holds(hands.repository, snapshot, rules.environment.name) if apps else ()
    return [hold for hold in found if hold.app in apps]


def arrivals(
    hands: Hands, rules: Rules, snapshot: Snapshot, coming: Sequence[Wanted], now: datetime
) -> dict[ImageReference, Arrival]:
    """What the environment before tells of the images, read once for all of them."""
    from promoter.inventory import running

    environment = rules.environment
    if environment.after is None or not coming:
        return {}
    source = view(hands, rules.config, snapshot, rules.config.environments[environment.after])
    images = list(dict.fromkeys(one.image for one in coming))
    standing = running(source.repository, source.snapshot, source.config, source.environment)
    runs = {image: tuple(one.image for one in standing if one.image.same_image(image)) for image in images}
    there = {
        image: next((one for one in runs[image] if is_same(one.version, image.version)), None)
        for image in images
    }
    present = [one for one in there.values() if one is not None]
    sinces: dict[ImageReference, Since] = {}
    if present and (environment.soak or environment.require_checks):
        from promoter.past.standing import since

        enough = now - environment.soak if environment.soak and not environment.require_checks else None
        sinces = since(
            source.repository, source.snapshot, source.config, source.environment, present, enough=enough
        )
    gone = [one.image for one in coming if one.has_soaked and there[one.image] is None]
    if gone and environment.soak is not None:
        from promoter.past.standing import Since, soaked

        found = soaked(
            source.repository, source.snapshot, source.config, source.environment, gone, environment.soak, now
        )
        for image in gone:
            one = found.get(image.key)
            if one is not None and is_same(one.version, image.version):
                there[image], sinces[one] = one, Since(now - environment.soak, None, exact=False)
    return {image: _arrival(source, rules, image, runs[image], there[image], sinces) for image in images}


def _arrival(
    source: View,
    rules: Rules,
    image: ImageReference,
    runs: tuple[ImageReference, ...],
    there: ImageReference | None,
    sinces: Mapping[ImageReference, Since],
) -> Arrival:
    if there is None:
        return Arrival(image, runs)
    since = sinces.get(there)
    if not rules.environment.require_checks:
        return Arrival(image, runs, there=True, since=since.when if since is not None else None)
    # Where nobody knows which commit brought it, what stands now speaks for it.
    commit = since.commit if since is not None and since.commit else source.snapshot.commit
    checks: Mapping[str, CheckState] = source.hands.forge(source.config).statuses(commit)
    when = since.when if since is not None else None
    return Arrival(image, runs, there=True, since=when, commit=commit, checks=checks)
