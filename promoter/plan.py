"""From a snapshot to the edits that an intent means there: only reads, and decides (DESIGN §2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from promoter import edit, gates, moves
from promoter.coming import apps_of, named
from promoter.discover import Cache, Found, Scope, discover
from promoter.errors import NotFoundError, UsageError
from promoter.git.history import file_histories
from promoter.git.repository import REGULAR, Entry
from promoter.intent import Intent, app_of, intent_of, owns
from promoter.outcome import Change, Notice
from promoter.past.sites import site_history
from promoter.proposal.wanted import Wanted, options_of
from promoter.rules import rule_of
from promoter.sites.model import UnreadableFileError, read_manifest
from promoter.yamltext import EditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from promoter.config import Config
    from promoter.decide import SiteHistory, TagDigest
    from promoter.git.history import Revision
    from promoter.git.repository import Repository, Snapshot
    from promoter.image import ImageReference
    from promoter.moves import Choice, Decision, Wish
    from promoter.options import BumpOptions
    from promoter.outcome import ChangeStatus
    from promoter.rules import Rules
    from promoter.sites.model import Site
    from promoter.validate.of_edit import Checked


@dataclass(frozen=True)
class Plan:
    """What one attempt would do to its snapshot: ``edits`` are the manifests that change, before and after.

    ``records`` are files of promoter's own that go with them, holds, by path; None deletes one.
    ``find`` gives for a path what finds the sites in another version of that file.
    """

    intent: Intent
    config: Config
    decisions: tuple[Decision, ...]
    notices: tuple[Notice, ...]
    edits: Mapping[Entry, tuple[bytes, bytes]]
    records: Mapping[str, bytes | None]
    find: Callable[[str], Callable[[bytes], list[Site]]]

    @property
    def contents(self) -> dict[str, tuple[bytes, bytes]]:
        """The bytes before and after of each file that changes, by its path."""
        return {entry.path: sides for entry, sides in self.edits.items()}

    @property
    def moves(self) -> int:
        """How many sites change."""
        return _moves(self.decisions) if self.edits else 0

    @property
    def files(self) -> dict[Entry, bytes | None]:
        """Everything that a commit of it writes; None is a file that it deletes."""
        edited: dict[Entry, bytes | None] = {entry: after for entry, (_, after) in self.edits.items()}
        return edited | {Entry(REGULAR, "", path): content for path, content in self.records.items()}

    @property
    def says_something(self) -> bool:
        """Whether there is anything to land."""
        return bool(self.edits or self.records)

    @property
    def refused(self) -> bool:
        """Whether one of its images is, and so all."""
        return any(decision.error is not None for decision in self.decisions)


class WriteCommit(Protocol):
    """Turns a plan into a commit on top of a snapshot and returns its id.

    ``options`` are what the run asked for besides images, for a later run to know.
    """

    def __call__(
        self,
        snapshot: Snapshot,
        plan: Plan,
        promoter_id: str,
        *,
        options: tuple[str, ...] = (),
        signed: bool = True,
    ) -> str:
        """Write it. Raises PromoterError where it cannot be signed."""
        ...


Validate = Callable[["Snapshot", "Rules", Mapping[str, tuple[bytes, bytes]]], "Checked"]
"""Says what edits of a snapshot introduce; they are given by path with the bytes before and after."""


def plan_bump(
    options: BumpOptions,
    rules: Rules,
    repository: Repository,
    snapshot: Snapshot,
    cache: Cache,
    spare: Callable[[Site], str] | None = None,
) -> Plan:
    """Everything up to the commit: only reads the snapshot. A refused image empties the plan.

    ``spare`` gives the reason for which a site that would move is left, empty for none.
    """
    config, where = rules.config, rules.environment
    intent = intent_of(options.request, options.origin, config, where)
    apps = {image: options.request.app or app_of(image, config) for image in intent.images}
    if options.marker and len(intent.images) > 1:
        raise UsageError(
            f"--marker takes one image, and these are {len(intent.images)}",
            next_step="run once for each marker",
        )
    scope = Scope(config, where, apps, options.exclude, options.marker, options.anywhere, options.create)
    found = discover(repository, snapshot, scope, intent.images, cache)
    wishes = [_wish(options, scope, intent, image) for image in intent.images]
    decisions, notices = _decide(options, wishes, where.paths, found, repository, snapshot, spare)
    refused = any(decision.error is not None for decision in decisions)
    moving = [image for one in decisions for image in named(one)]
    if moving and not (refused or (options.override and where.allow_override)):
        count = _moves(decisions)
        gates.raise_if_ruled_out(rules, moving, intent.origin, count, rollback=options.policy.rollback)
    edits = {} if refused else _edits(decisions, found)
    # What is too late to land is too late to end a hold.
    late = bool(decisions) and all(one.fate == "superseded" for one in decisions)
    nothing = refused or late
    records = {} if nothing else _records(options, intent, rules, decisions, repository, snapshot)
    decided, told = tuple(decisions), tuple(notices)
    return Plan(intent, config, decided, told, edits, records, lambda path: _finder(path, found))


def _moves(decisions: Iterable[Decision]) -> int:
    return sum(choice.status == "move" for one in decisions for choice in one.choices)


def _records(
    options: BumpOptions,
    intent: Intent,
    rules: Rules,
    decisions: Sequence[Decision],
    repository: Repository,
    snapshot: Snapshot,
) -> dict[str, bytes | None]:
    """The hold that the run leaves behind, or the holds that it takes away."""
    if options.hold is None and not options.lift_hold:
        return {}
    from promoter import holds  # only where there is one

    if options.hold is not None:
        hold = replace(options.hold, environment=intent.environment, app=intent.app)
        standing = holds.read_holds(repository, snapshot, hold.environment) if not _moves(decisions) else ()
        if any((one.app, one.reason, one.until) == (hold.app, hold.reason, hold.until) for one in standing):
            return {}  # running again is safe
        return {holds.path_of(intent.environment, intent.app): holds.render(hold)}
    apps = {app for decision in decisions for app in apps_of(decision, intent.app, rules)}
    paths = sorted(f"{holds.ROOT}/{intent.environment}/{app}" for app in apps)
    return {entry.path: None for entry in repository.entries(snapshot, paths) if entry.path in paths}


def wanted_of(plan: Plan, options: BumpOptions, promoter_id: str) -> tuple[Wanted, ...]:
    """The images of a run that the environment uses, as a pull request would hold them."""
    intent = plan.intent
    return tuple(
        Wanted(decision.wish.image, intent.app, intent.origin, promoter_id, options_of(options))
        for decision in plan.decisions
    )


def _wish(options: BumpOptions, scope: Scope, intent: Intent, image: ImageReference) -> Wish:
    """The image with the rules that the configuration and the caller have for it."""
    rule = rule_of(image, scope.config)
    app = next((app for app in scope.config.apps if app.name == scope.apps[image] and owns(app, image)), None)
    configured = [one.current for one in (app, rule) if one is not None and one.current is not None]
    return moves.Wish(
        image=image,
        app=scope.apps[image],
        style=options.style,
        policy=replace(options.policy, order=rule.order) if rule is not None else options.policy,
        build=intent.origin.build,
        current=options.current or tuple(configured[:1]),
        paths=app.paths if app is not None else (),
        together=intent.images,
        marker=options.marker,
        only_marked=options.only_marked or any(one.markers == "only" for one in (app, rule) if one),
    )


# --- decision ------------------------------------------------------------------------------


def _decide(
    options: BumpOptions,
    wishes: Sequence[Wish],
    roots: tuple[str, ...],
    found: Found,
    repository: Repository,
    snapshot: Snapshot,
    spare: Callable[[Site], str] | None,
) -> tuple[list[Decision], list[Notice]]:
    """One decision for each image that the environment uses; history is read only where it decides."""
    sites = {wish.image: moves.in_app(wish, found.sites.get(wish.image, []), roots) for wish in wishes}
    notices = [
        moves.missing(wish, found.unreadable.get(wish.image, []), found.looked_at, skip=options.skip_missing)
        for wish in wishes
        if not sites[wish.image]
    ]
    used = [wish for wish in wishes if sites[wish.image]]
    chosen = {wish.image: moves.choose(wish, sites[wish.image], None) for wish in used}
    undecided = {
        choice.site.file for choices in chosen.values() for choice in choices if choice.status == "undecided"
    }
    if undecided:
        revisions = file_histories(repository, snapshot, undecided)
        for wish in used:
            histories = _histories(chosen[wish.image], revisions, found)
            chosen[wish.image] = moves.choose(wish, sites[wish.image], histories)
    if spare is not None:
        chosen = {image: [_spared(choice, spare) for choice in choices] for image, choices in chosen.items()}
    decisions = [moves.conclude(wish, chosen[wish.image]) for wish in used]
    for decision in decisions:
        unreadable = found.unreadable.get(decision.wish.image, [])
        notices += moves.notices(decision, unreadable, strict=options.strict)
    return decisions, notices


def _spared(choice: Choice, spare: Callable[[Site], str]) -> Choice:
    """The choice, but that a site which somebody else has a say in stays as it is."""
    note = spare(choice.site) if choice.status == "move" else ""
    return replace(choice, status="unchanged", note=note, code="spared") if note else choice


def _histories(
    choices: Iterable[Choice], revisions: Mapping[str, Sequence[Revision]], found: Found
) -> dict[str, dict[str, SiteHistory]]:
    """What stood before at each undecided site, by file and place."""
    histories: dict[str, dict[str, SiteHistory]] = {}
    for choice in choices:
        if choice.status == "undecided":
            site = choice.site
            past = site_history(site, choice.version, revisions[site.file], _finder(site.file, found))
            histories.setdefault(site.file, {})[site.where] = past
    return histories


def _finder(path: str, found: Found) -> Callable[[bytes], list[Site]]:
    def find(content: bytes) -> list[Site]:
        try:
            return found.finders[path](read_manifest(path, content))
        except UnreadableFileError:
            return []  # a version that nobody could read held no reference

    return find


# --- edits and changes -----------------------------------------------------------------------


def _edits(decisions: Sequence[Decision], found: Found) -> dict[Entry, tuple[bytes, bytes]]:
    """The old and new bytes of every file that changes, each verified."""
    by_file: dict[str, list[tuple[Site, TagDigest]]] = {}
    for decision in decisions:
        for choice in decision.choices:
            if choice.status == "move":
                by_file.setdefault(choice.site.file, []).append((choice.site, choice.version))
    files = {}
    for path, edits in sorted(by_file.items()):
        entry, file = found.files[path]
        try:
            files[entry] = (file.encode(file.text), edit.edit_file(file, edits))
        except EditError as error:
            raise NotFoundError(
                f"{edits[0][0].reference.name} cannot be edited here: {error}",
                file=path,
                line=edits[0][0].line,
                next_step="write it as a plain or quoted scalar, or leave the file out with --exclude",
                reason="refused-site",
            ) from None
    return files


def changes_of(plan: Plan, moved: ChangeStatus) -> tuple[Change, ...]:
    """Every site of the run's images; ``moved`` is what became of those that move."""
    return tuple(
        _change(plan, decision, choice, moved) for decision in plan.decisions for choice in decision.choices
    )


def _change(plan: Plan, decision: Decision, choice: Choice, moved: ChangeStatus) -> Change:
    site = choice.site
    name = site.new_name or site.reference.name
    after = replace(site.reference, name=name, tag=choice.version[0], digest=choice.version[1])
    return Change(
        environment=plan.intent.environment,
        app=decision.wish.app,
        image=name,
        file=site.file,
        line=site.line,
        before=str(site.reference),
        after=str(after if choice.status == "move" else site.reference),
        status=moved if choice.status in ("move", "undecided") else choice.status,  # type: ignore[arg-type]  # the rest of both literals is the same
        note=choice.note,
    )
