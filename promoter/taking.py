"""What ``promote`` takes from one environment for another: app by app, exactly what runs there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from promoter.config import environment
from promoter.errors import NotFoundError, PromoterError, RefusedError, UsageError
from promoter.hands import View, view
from promoter.intent import Origin, Request
from promoter.inventory import running
from promoter.outcome import Change, Notice
from promoter.past.sites import origin_of
from promoter.past.standing import since, soaked
from promoter.rules import rule_of
from promoter.version import compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promoter.git.repository import Snapshot
    from promoter.hands import Hands
    from promoter.image import ImageReference
    from promoter.inventory import Running
    from promoter.options import BumpOptions, PromoteOptions
    from promoter.rules import Rules

_Key = tuple[str, tuple[str, str]]  # app, and what makes an image's name one


@dataclass(frozen=True)
class Taken:
    """What one attempt is to move. ``runs`` are by app; one app has several where their builds differ.

    ``same`` are the sites that hold already what runs in the source, ``left`` the apps that
    cannot be taken, with the error.
    """

    runs: tuple[BumpOptions, ...]
    same: tuple[Change, ...]
    left: tuple[tuple[str, PromoterError], ...]
    notices: tuple[Notice, ...]


def take(options: PromoteOptions, rules: Rules, hands: Hands, snapshot: Snapshot) -> Taken:
    """Compare what the two environments run.

    Raises ConfigError for an unknown source, UsageError where it is the target, NotFoundError
    where a name that the caller gave means nothing in both.
    """
    source = _source(options, rules, hands, snapshot)
    there = _by_image(_running(source, options), options)
    here_view = View(hands, snapshot, rules.config, rules.environment)
    here = _by_image(_running(here_view, options), options)
    _raise_if_unknown(options, there, here)
    both = [key for key in there if key in here]
    moving: dict[_Key, ImageReference] = {}
    same: list[Change] = []
    left: list[tuple[str, PromoterError]] = []
    chosen = _soaked(rules, source, both, there) if options.soaked else {}
    for key in both:
        if options.soaked and key not in chosen:
            left.append((key[0], _not_soaked(options, rules, there[key][0].image)))
            continue
        try:
            image = chosen[key] if options.soaked else _one_of(there[key], options)
        except NotFoundError as error:
            left.append((key[0], error))
            continue
        if all(_says(one.image, image, pin=options.run.style.pin) for one in here[key]):
            same += _unchanged(rules.environment.name, here[key])
        else:
            moving[key] = image
    # An app goes whole or not at all.
    apps_left = {app for app, _ in left}
    moving = {key: image for key, image in moving.items() if key[0] not in apps_left}
    runs = _runs(options, source, moving)
    return Taken(tuple(runs), tuple(same), tuple(left), tuple(_one_sided(options, rules, there, here)))


def _source(options: PromoteOptions, rules: Rules, hands: Hands, snapshot: Snapshot) -> View:
    if options.source == rules.environment.name:
        raise UsageError(f"{options.source} is where the images come from and where they shall go")
    return view(hands, rules.config, snapshot, environment(rules.config, options.source))


def _running(place: View, options: PromoteOptions) -> tuple[Running, ...]:
    return running(place.repository, place.snapshot, place.config, place.environment, options.run.exclude)


def _by_image(listed: Iterable[Running], options: PromoteOptions) -> dict[_Key, list[Running]]:
    """What was asked for, by app and image; several of one are its versions."""
    found: dict[_Key, list[Running]] = {}
    for one in listed:
        if options.apps and one.app not in options.apps:
            continue
        if options.images and not any(one.image.same_image(image) for image in options.images):
            continue
        if one.image.tag or one.image.digest:
            found.setdefault((one.app, one.image.key), []).append(one)
    return found


def _raise_if_unknown(
    options: PromoteOptions, there: Mapping[_Key, object], here: Mapping[_Key, object]
) -> None:
    """A name that the caller gave must mean something in both environments."""
    for place, found in ((options.source, there), (options.run.environment, here)):
        apps, keys = {app for app, _ in found}, {key for _, key in found}
        unknown = [app for app in options.apps if app not in apps]
        unknown += [image.name for image in options.images if image.key not in keys]
        if unknown:
            raise NotFoundError(
                f"{place} does not run {', '.join(unknown)}",
                next_step=f"promoter diff {options.source} {options.run.environment} lists what both run",
                reason="image-not-found",
            )


def _one_of(versions: Sequence[Running], options: PromoteOptions) -> ImageReference:
    """The version that is promoted. Raises NotFoundError where nobody says which of several."""
    image = versions[0].image
    asked = [one for one in options.images if one.same_image(image) and (one.tag or one.digest)]
    for one in asked:
        fitting = [
            each.image
            for each in versions
            if one.tag in (None, each.image.tag) and one.digest in (None, each.image.digest)
        ]
        if fitting:
            return fitting[0]
    runs = "; ".join(
        f"{each.image.tag or each.image.digest} at {', '.join(f'{s.file}:{s.line}' for s in each.sites)}"
        for each in versions
    )
    if asked or len(versions) > 1:
        what = f"does not run {asked[0]}" if asked else f"runs {image.name} in several versions"
        raise NotFoundError(
            f"{options.source} {what}: {runs}",
            file=versions[0].sites[0].file,
            line=versions[0].sites[0].line,
            next_step=f"say which one with --image {image.name}:TAG",
            reason="image-not-found" if asked else "ambiguous-image",
        )
    return image


def _says(present: ImageReference, wanted: ImageReference, *, pin: bool) -> bool:
    """Whether what stands there is what is wanted, as far as its sites can say."""
    if present.digest is None and not (pin and wanted.digest):
        return present.tag == wanted.tag
    return (present.tag, present.digest) == (wanted.tag, wanted.digest)


def _unchanged(name: str, listed: Iterable[Running]) -> list[Change]:
    return [
        Change(name, one.app, one.image.name, site.file, site.line, text, text, "unchanged")
        for one in listed
        for site in one.sites
        for text in (str(site.reference),)
    ]


def _one_sided(
    options: PromoteOptions, rules: Rules, there: Mapping[_Key, object], here: Mapping[_Key, object]
) -> list[Notice]:
    """The images that only one of the two environments has: listed, not invented."""
    only = [(key, options.source, rules.environment.name) for key in there if key not in here]
    only += [(key, rules.environment.name, options.source) for key in here if key not in there]
    return [
        Notice(
            "only-on-one-side", f"{'/'.join(filter(None, key))} ({app}): only {has} runs it, {lacks} does not"
        )
        for (app, key), has, lacks in only
    ]


def _soaked(
    rules: Rules,
    source: View,
    keys: Sequence[_Key],
    there: Mapping[_Key, Sequence[Running]],
) -> dict[_Key, ImageReference]:
    """The newest version of each image that has soaked in the source; those without one are absent."""
    soak = rules.environment.soak
    if soak is None:
        raise UsageError(
            f"--soaked: {rules.environment.name} has no soak in the configuration",
            next_step="set soak there, or promote what runs now",
        )
    images = [one.image for key in keys for one in there[key]]
    found = soaked(
        source.repository, source.snapshot, source.config, source.environment, images, soak, datetime.now(UTC)
    )
    chosen = {}
    for key in keys:
        now, soaked_one = there[key][0].image, found.get(key[1])
        # What the source went back from has soaked too, and nobody wants it.
        if soaked_one is not None and not _is_newer(soaked_one, now, rules):
            chosen[key] = soaked_one
    return chosen


def _not_soaked(options: PromoteOptions, rules: Rules, image: ImageReference) -> RefusedError:
    return RefusedError(
        f"no version of {image.name} is known to have been in {options.source} "
        f"for the {rules.environment.soak} that {rules.environment.name} asks for",
        next_step="run again later, or leave out --soaked: a pull request waits for what runs now",
        reason="soak",
    )


def _is_newer(image: ImageReference, than: ImageReference, rules: Rules) -> bool:
    rule = rule_of(image, rules.config)
    order = rule.order if rule is not None else "auto"
    return bool(than.tag and image.tag) and compare(than.tag or "", image.tag or "", order) == -1


def _runs(options: PromoteOptions, source: View, moving: Mapping[_Key, ImageReference]) -> list[BumpOptions]:
    """A run for each app, or for each build of its images."""
    if not moving:
        return []
    landed = since(
        source.repository, source.snapshot, source.config, source.environment, list(moving.values())
    )
    grouped: dict[tuple[str, Origin], list[ImageReference]] = {}
    for (app, _), image in moving.items():
        landing = landed[image].landing if image in landed else None
        trailers = landing.trailers if landing is not None else ()
        grouped.setdefault((app, origin_of(trailers, image, options.run.origin)), []).append(image)
    came_from = f"{options.source} {source.snapshot.commit}"
    return [
        replace(
            options.run,
            request=Request(tuple(images), app),
            origin=origin,
            came_from=came_from,
            soaked=options.soaked,
        )
        for (app, origin), images in sorted(grouped.items(), key=lambda one: one[0][0])
    ]
