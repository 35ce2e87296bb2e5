"""Which sites of one image move, and what that makes of the image. Pure (DESIGN §7 and §8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from promoter import edit
from promoter.decide import Action, Build, Policy, SiteHistory, TagDigest, judge
from promoter.errors import NotFoundError, PromoterError, RefusedError
from promoter.outcome import Notice
from promoter.paths import glob_text, matches_any, relative_to
from promoter.version import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promoter.image import ImageReference
    from promoter.options import Style
    from promoter.sites.model import Site, UnreadableFileError

Status = Literal["move", "unchanged", "superseded", "refused", "shadowed", "left", "undecided"]


@dataclass(frozen=True)
class Wish:
    """One wanted image and the rules for it. ``together`` are all images of the run.

    With ``marker``, the sites of that policy decide alone.
    """

    image: ImageReference
    app: str
    style: Style
    policy: Policy
    build: Build
    current: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    together: tuple[ImageReference, ...] = ()
    marker: str | None = None
    only_marked: bool = False


@dataclass(frozen=True)
class Choice:
    """A site and what becomes of it. ``code`` is a slug for ``note``, which people read."""

    site: Site
    status: Status
    version: TagDigest
    note: str = ""
    code: str = ""


def in_app(wish: Wish, sites: Sequence[Site], roots: tuple[str, ...]) -> list[Site]:
    """The sites below the app's paths, which are relative to the environment's own ones, ``roots``."""
    if not wish.paths:
        return list(sites)
    return [site for site in sites if matches_any(relative_to(site.file, roots), wish.paths)]


def choose(
    wish: Wish, sites: Sequence[Site], histories: Mapping[str, Mapping[str, SiteHistory]] | None
) -> list[Choice]:
    """What becomes of each site of the image.

    ``histories`` is by file and ``where``; while it is None, sites that need it stay
    ``undecided``.
    """
    choices = [_set_aside(wish, site) for site in sites]
    choices = _other_lines_left(wish, choices)
    return [
        _judged(wish, choice, histories) if choice.status == "undecided" else choice for choice in choices
    ]


def _set_aside(wish: Wish, site: Site) -> Choice:
    """Sites that do not come into question, with the reason."""
    present = edit.current(site)
    strangers = [
        name for name in site.shares if not any(_same_version(wish, name, image) for image in wish.together)
    ]
    if site.shadowed_by:
        return Choice(site, "shadowed", present, f"overridden by {site.shadowed_by}", "shadowed")
    if (wish.marker and site.marker != wish.marker) or (wish.only_marked and site.marker is None):
        note = f"its marker is not {wish.marker}" if wish.marker and site.marker else "it carries no marker"
        return Choice(site, "left", present, note, "not-marked")
    if site.problem:
        return Choice(site, "refused", present, site.problem, "refused-site")
    if strangers:
        kind = "an anchor" if any(part.scalar.anchor for part in site.parts) else "a variable"
        note = f"its value is {kind} that {', '.join(strangers)} uses too"
        return Choice(site, "refused", present, note, "shared-anchor")
    if wish.current and not any(glob_text(site.reference.tag or "", glob) for glob in wish.current):
        return Choice(site, "left", present, "its tag does not match --current", "not-current")
    return Choice(site, "undecided", present)


def _same_version(wish: Wish, name: str, image: ImageReference) -> bool:
    return (image.name, image.tag, image.digest) == (name, wish.image.tag, wish.image.digest)


def _other_lines_left(wish: Wish, choices: list[Choice]) -> list[Choice]:
    """Where some sites hold a tag of the wanted tag's line, only these move."""
    if wish.image.tag is None or wish.marker:
        return choices
    line = line_of(wish.image.tag)

    def is_other(choice: Choice) -> bool:
        tag = choice.site.reference.tag
        return tag is None or line_of(tag) != line

    open_choices = [choice for choice in choices if choice.status == "undecided"]
    if all(is_other(choice) for choice in open_choices):
        return choices
    note = f"another line than {line!r}" if line else "another line of tags"
    return [
        replace(choice, status="left", note=note, code="other-line")
        if choice.status == "undecided" and choice.site.reference.tag is not None and is_other(choice)
        else choice
        for choice in choices
    ]


def _judged(wish: Wish, choice: Choice, histories: Mapping[str, Mapping[str, SiteHistory]] | None) -> Choice:
    site = choice.site
    misfit = ""
    try:
        version = edit.desired(site, wish.image, wish.style)
    except edit.StyleError as error:
        version, misfit = (wish.image.tag, site.reference.digest), str(error)
    history = None
    if histories is not None:
        history = histories.get(site.file, {}).get(site.where, SiteHistory(None, ()))
    verdict = judge(edit.current(site), version, build=wish.build, history=history, policy=wish.policy)
    if verdict.action is Action.MOVE and misfit:
        return replace(choice, status="refused", note=misfit, code="digest")
    if verdict.action is Action.MOVE and (obstacle := edit.obstacle(site, version)):
        return replace(choice, status="refused", note=obstacle, code="refused-site")
    status: dict[Action, Status] = {
        Action.MOVE: "move",
        Action.UNCHANGED: "unchanged",
        Action.SUPERSEDED: "superseded",
        Action.REFUSE: "refused",
        Action.NEEDS_HISTORY: "undecided",
    }
    if verdict.action is Action.UNCHANGED and site.new_name:
        return replace(choice, status="move", version=version, note="its name changes", code="name")
    return replace(
        choice, status=status[verdict.action], version=version, note=verdict.why, code=verdict.code
    )


# --- What that makes of the image ----------------------------------------------------------

Fate = Literal["move", "unchanged", "superseded", "refused"]


@dataclass(frozen=True)
class Decision:
    """What happens to one image; ``error`` says why it is refused."""

    wish: Wish
    fate: Fate
    choices: tuple[Choice, ...]
    error: PromoterError | None = None


def conclude(wish: Wish, choices: Iterable[Choice]) -> Decision:
    """Fold the choices of an image that has at least one site.

    Newer sites are left where others move; the image is superseded only when all are. A
    refused site refuses the image when no other effective site is left, and always when
    the wanted digest does not fit it.
    """
    listed = tuple(choices)
    by_status = {status: [one for one in listed if one.status == status] for status in get_args(Status)}
    effective = by_status["move"] + by_status["unchanged"] + by_status["superseded"]
    refused = by_status["refused"]
    misfits = [one for one in refused if one.code == "digest"]
    if misfits:
        return Decision(wish, "refused", listed, _refusal(wish, misfits[0], "digest"))
    if not effective and refused:
        return Decision(wish, "refused", listed, _refusal(wish, refused[0], refused[0].code))
    if by_status["move"]:
        return Decision(wish, "move", listed)
    if by_status["superseded"] and not by_status["unchanged"]:
        return Decision(wish, "superseded", listed)
    if effective:
        return Decision(wish, "unchanged", listed)
    return Decision(wish, "refused", listed, _nothing_to_move(wish, listed))


_RULES = frozenset({"hotfix", "older-version", "older-build", "landed-before", "digest"})


def _refusal(wish: Wish, choice: Choice, code: str) -> PromoterError:
    kind = RefusedError if code in _RULES else NotFoundError
    site = choice.site
    next_steps = {
        "hotfix": "--allow-downgrade lands it; --current GLOB picks the sites of its own line",
        "digest": "give NAME:TAG@DIGEST, or choose --pin or --drop-digest",
        "older-version": "leave out --strict-order to let an older build end quietly",
        "older-build": "leave out --strict-order to let an older build end quietly",
        "landed-before": "--again lands it",
    }
    if wish.policy.explicit:
        next_steps |= dict.fromkeys(("older-version", "older-build"), "--allow-downgrade lands it")
    return kind(
        f"{wish.image} is refused: {choice.note} (now {site.reference})",
        file=site.file,
        line=site.line,
        next_step=next_steps.get(code, "correct the file by hand, or leave it out with --exclude"),
        reason="downgrade" if code in _RULES - {"digest"} else code,
    )


def _nothing_to_move(wish: Wish, choices: Sequence[Choice]) -> PromoterError:
    first = choices[0]
    next_steps = {
        "not-current": "loosen --current",
        "not-marked": "put the policy's marker behind the value, or leave out --marker and --only-marked",
    }
    return NotFoundError(
        f"no site of {wish.image.name} can move: {first.note}",
        file=first.site.file,
        line=first.site.line,
        next_step=next_steps.get(first.code, "promote the site that overrides it"),
        reason="no-effective-site",
    )


_ONLY_TOLD = frozenset({"unknown-order", "run-wins", "mutable-tag"})


def notices(decision: Decision, unreadable: Iterable[UnreadableFileError], *, strict: bool) -> list[Notice]:
    """What the caller should know: unreadable mentions, refused sites, tags that may have moved silently.

    Raises NotFoundError where ``strict`` asks that the first two refuse too.
    """
    name = decision.wish.image.name
    found = [
        Notice("unreadable", f"mentions {name} and cannot be read: {one.why}", one.file, one.line)
        for one in unreadable
    ]
    for choice in decision.choices:
        site = choice.site
        if choice.status == "refused":
            found.append(Notice(choice.code, f"left as it is: {choice.note}", site.file, site.line))
        elif choice.code in _ONLY_TOLD:
            found.append(Notice(choice.code, choice.note, site.file, site.line))
        elif choice.status == "unchanged" and decision.wish.image.digest and choice.version[1] is None:
            note = "the tag is the same and the site holds no digest: what it names may have changed (--pin)"
            found.append(Notice("mutable-tag", note, site.file, site.line))
    blocking = next((one for one in found if one.code not in _ONLY_TOLD), None)
    if strict and blocking is not None:
        raise NotFoundError(
            f"{blocking.message} (--strict)",
            file=blocking.file,
            line=blocking.line,
            next_step="correct it, leave it out with --exclude, or leave out --strict",
            reason=blocking.code,
        )
    return found


def missing(wish: Wish, unreadable: Sequence[UnreadableFileError], looked_at: int, *, skip: bool) -> Notice:
    """An image that the environment does not use. Raises NotFoundError unless the caller skips those."""
    name = wish.image.name
    if unreadable:
        first = unreadable[0]
        raise NotFoundError(
            f"the only mention of {name} is in a file that cannot be read: {first.why}",
            file=first.file,
            line=first.line,
            next_step="correct the file, or leave it out with --exclude",
            reason="unreadable",
        )
    if not skip:
        marked = f", and nothing carries the marker {wish.marker}" if wish.marker else ""
        raise NotFoundError(
            f"the environment does not use {name}{marked} ({looked_at} files looked at)",
            next_step="check the name, registry included; --missing skip passes over unused images",
            reason="image-not-found",
        )
    return Notice("image-not-used", f"the environment does not use {name}")
