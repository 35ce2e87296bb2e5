"""What a pull request shall bring: images, each with the run that asked for it and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.ci import parse_time
from promoter.errors import ConfigError
from promoter.holds import Hold
from promoter.image import looks_like_reference
from promoter.intent import Origin, Request
from promoter.message import OPTION, OWN_TRAILERS, trailers
from promoter.options import Style
from promoter.proposal.inert import restored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from promoter.image import ImageReference
    from promoter.options import BumpOptions

_LONGEST_NUMBER = 18  # digits: what --order takes


@dataclass(frozen=True)
class Wanted:
    """One image that a pull request shall bring.

    ``options`` are those of its run that change how it is applied (see `options_of`).
    """

    image: ImageReference
    app: str
    origin: Origin
    promoter_id: str
    options: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether a hold comes with it."""
        return any(one.startswith("hold=") for one in self.options)

    @property
    def lifts(self) -> bool:
        """Whether its run lifts holds."""
        return "lift-hold" in self.options

    @property
    def is_rollback(self) -> bool:
        """Whether it ran there before."""
        return "rollback" in self.options

    @property
    def has_soaked(self) -> bool:
        """Whether it was taken because it had soaked, though something newer runs there."""
        return "soaked" in self.options

    @property
    def override(self) -> str | None:
        """The reason for which it passes gates."""
        found = (one.removeprefix("override=") for one in self.options if one.startswith("override="))
        return next(found, None)

    def adds_to(self, there: Wanted) -> bool:
        """Whether it says more of its image than one that is there: a hold, the end of holds, an override."""
        return (
            (self.holds and not there.holds)
            or (self.lifts and not there.lifts)
            or self.override not in (None, there.override)
        )

    def without_hold(self) -> Wanted:
        """The same without the hold that comes with it."""
        names = tuple(f"{name}=" for name in _HOLD)
        return replace(self, options=tuple(one for one in self.options if not one.startswith(names)))

    @property
    def slot(self) -> tuple[object, ...]:
        """What it takes the place of: one image, at the sites that its run picked by marker or tag."""
        picks = tuple(one for one in self.options if one.startswith(("marker=", "current=")))
        return (*self.image.key, *picks)


# --- the options of a run --------------------------------------------------------------------

_FLAGS = (
    "pin",
    "drop-digest",
    "allow-downgrade",
    "again",
    "create",
    "only-marked",
    "strict",
    "rollback",
    "lift-hold",
    "soaked",
)
_HOLD = ("hold", "held-by", "held-since", "held-until")


def options_of(options: BumpOptions) -> tuple[str, ...]:
    """The options of ``bump``, as on its command line, that differ from their defaults and change the edits.

    Where to look (environment, base, configuration) is not among them, nor what only says
    how the run itself ends (``--strict-order``, ``--dry-run``).
    """
    given = {
        "pin": options.style.pin,
        "drop-digest": options.style.drop_digest,
        "allow-downgrade": options.policy.allow_downgrade,
        "again": options.policy.again,
        "create": options.create,
        "only-marked": options.only_marked,
        "strict": options.strict,
        "rollback": options.policy.rollback,
        "lift-hold": options.lift_hold,
        "soaked": options.soaked,
    }
    return (
        *(name for name in _FLAGS if given[name]),
        *(("match=anywhere",) if options.anywhere else ()),
        *(("missing=skip",) if options.skip_missing else ()),
        *((f"marker={options.marker}",) if options.marker is not None else ()),
        *(f"current={glob}" for glob in options.current),
        *(f"exclude={glob}" for glob in options.exclude),
        *(_of_hold(options.hold) if options.hold is not None else ()),
        *((f"from={options.came_from}",) if options.came_from is not None else ()),
        *((f"override={options.override}",) if options.override is not None else ()),
    )


def _of_hold(hold: Hold) -> Iterator[str]:
    """A hold that comes with the images; environment and app are those of the run."""
    yield f"hold={hold.reason}"
    yield f"held-by={hold.by}"
    if hold.since is not None:
        yield f"held-since={hold.since.isoformat()}"
    if hold.until is not None:
        yield f"held-until={hold.until.isoformat()}"


def apply_options(options: BumpOptions, names: tuple[str, ...]) -> BumpOptions:
    """The options as if they had been given with exactly these, the inverse of `options_of`.

    Raises ConfigError for one that only another version of promoter knows.
    """
    keys = ("marker", "current", "exclude", *_HOLD, *OWN_TRAILERS)
    listed: dict[str, list[str]] = {key: [] for key in keys}
    for name in names:
        key, equals, value = name.partition("=")
        if equals and key in listed:
            listed[key].append(value)
        elif name not in (*_FLAGS, "match=anywhere", "missing=skip"):
            raise ConfigError(
                f"the pull request was made with the option {name!r}, which this promoter does not know",
                next_step="use the version of promoter that opened it, or newer",
                reason="unknown-option",
            )
    return replace(
        options,
        style=Style("pin" in names, "drop-digest" in names),
        policy=replace(
            options.policy,
            allow_downgrade="allow-downgrade" in names,
            again="again" in names,
            rollback="rollback" in names,
        ),
        create="create" in names,
        only_marked="only-marked" in names,
        strict="strict" in names,
        anywhere="match=anywhere" in names,
        skip_missing="missing=skip" in names,
        marker=_last(listed["marker"]),
        current=tuple(listed["current"]),
        exclude=tuple(listed["exclude"]),
        lift_hold="lift-hold" in names,
        soaked="soaked" in names,
        hold=_hold(options, listed),
        came_from=_last(listed["from"]),
        override=_last(listed["override"]),
    )


def _hold(options: BumpOptions, listed: dict[str, list[str]]) -> Hold | None:
    reason = _last(listed["hold"])
    if reason is None:
        return None
    return Hold(
        environment=options.environment or "",
        app=options.request.app or "",
        reason=reason,
        by=_last(listed["held-by"]) or "unknown",
        since=parse_time(_last(listed["held-since"])),
        until=parse_time(_last(listed["held-until"])),
    )


def _last(values: list[str]) -> str | None:
    return values[-1] if values else None


def options_for(template: BumpOptions, group: Sequence[Wanted]) -> BumpOptions:
    """The options that apply the images of one run again; ``template`` says where to look.

    Raises ConfigError for an option that is not known.
    """
    first = group[0]
    request = Request(tuple(one.image for one in group), first.app)
    return apply_options(replace(template, request=request, origin=first.origin), first.options)


# --- in commits ------------------------------------------------------------------------------


def trailers_of(environment: str, wanted: Iterable[Wanted]) -> list[tuple[str, str]]:
    """The trailers of each run, one after the other, in the order of their first images."""
    runs: dict[tuple[object, ...], list[Wanted]] = {}
    for one in wanted:
        runs.setdefault((one.promoter_id, one.app, one.origin, one.options), []).append(one)
    return [
        pair
        for group in runs.values()
        for pair in trailers(
            environment,
            group[0].app,
            (one.image for one in group),
            group[0].origin,
            group[0].promoter_id,
            group[0].options,
        )
    ]


def wanted_from_trailers(pairs: Iterable[tuple[str, str]]) -> tuple[Wanted, ...]:
    """What `trailers_of` wrote, but for actor and author, which trailers do not hold.

    What is no trailer of ours, or no longer makes sense, is passed over.
    """
    return tuple(one for run in _runs(pairs) for one in _of_run(run))


def trailers_for(pairs: Iterable[tuple[str, str]], image: ImageReference) -> dict[str, str]:
    """The trailers of the run that brought an image; a squash of several runs has those of each.

    None where no run names the image: what another one's says of its build would be wrong here.
    """
    runs = _runs(pairs)
    named = [
        run
        for run in runs
        for text in run.get("Promoter-Image", [])
        if (one := looks_like_reference(text)) is not None and one.same_image(image)
    ]
    found = named[-1] if named else {}
    return {key: values[-1] for key, values in found.items()}


def _runs(pairs: Iterable[tuple[str, str]]) -> list[dict[str, list[str]]]:
    """The trailers of each run: a ``Promoter-Id`` begins the next."""
    runs: list[dict[str, list[str]]] = []
    for key, value in pairs:
        if key == "Promoter-Id":
            runs.append({})
        if runs and key.startswith("Promoter-"):
            runs[-1].setdefault(key, []).append(restored(value))
    return runs


def _of_run(run: dict[str, list[str]]) -> list[Wanted]:
    def last(key: str) -> str | None:
        return run.get(f"Promoter-{key}", [None])[-1]

    origin = Origin(
        revision=last("Source"),
        source_time=parse_time(last("Source-Time")),
        source_branch=last("Source-Branch"),
        order=parse_order(last("Order") or ""),
        run_url=last("Run"),
    )
    named = ((name, run.get(trailer, [])) for name, trailer in OWN_TRAILERS.items())
    own = [f"{name}={value}" for name, values in named for value in values]
    images = [looks_like_reference(text) for text in run.get("Promoter-Image", [])]
    return [
        Wanted(
            image,
            last("App") or image.last_component,
            origin,
            last("Id") or "",
            (*run.get(OPTION, []), *own),
        )
        for image in images
        if image is not None and (image.tag or image.digest)
    ]


def parse_order(text: str) -> tuple[str, int] | None:
    """Namespace and number of a ``Promoter-Order``; None for what is none."""
    namespace, _, number = text.rpartition("#")
    is_number = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
    return (namespace, int(number)) if namespace and is_number else None
