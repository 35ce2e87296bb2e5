"""The line: options → snapshot → config → intent → sites → decision → edits → commit → publication → report.

``bump`` is the table of contents of the program. Each attempt starts again at the
snapshot: it rereads the base and its configuration, applies the intent to what is there
now and decides anew, so that a conflict is never a text merge.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter import __version__, edit, moves
from promoter.config import config_for_paths, environment, parse_config
from promoter.discover import Cache, Found, Scope, discover
from promoter.errors import ConfigError, NotFoundError, UsageError
from promoter.git.history import file_histories
from promoter.intent import Intent, app_of, intent_of, owns
from promoter.outcome import Change, Failed, Notice, Outcome
from promoter.past import site_history
from promoter.paths import glob_text
from promoter.publish import Publisher
from promoter.sites.model import UnreadableFileError, read_manifest
from promoter.yamltext import EditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from promoter.config import Config, Environment
    from promoter.decide import SiteHistory, TagDigest
    from promoter.git.history import Revision
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.image import ImageReference
    from promoter.moves import Choice, Decision, Wish
    from promoter.options import BumpOptions
    from promoter.outcome import ChangeStatus, RunStatus
    from promoter.sites.model import Site

CONFIG_FILE = ".promoter.yaml"


@dataclass(frozen=True)
class Plan:
    """What one attempt would do to its snapshot: ``edits`` are the files that change, before and after."""

    intent: Intent
    config: Config
    decisions: tuple[Decision, ...]
    notices: tuple[Notice, ...]
    edits: Mapping[Entry, tuple[bytes, bytes]]


def bump(
    options: BumpOptions, repository: Repository, write_commit: Callable[[Snapshot, Plan, str], str]
) -> Outcome:
    """Make the images current in the environment: land one commit, or say why not.

    ``write_commit`` turns a plan into a commit on top of a snapshot and returns its id.
    Raises PromoterError; then nothing has changed in the manifest repository.
    """
    promoter_id = os.urandom(8).hex()
    publisher, cache = Publisher(repository), Cache()
    snapshot = repository.open(options.base)
    attempt = 0
    while True:
        attempt += 1
        plan = plan_bump(options, repository, snapshot, cache)
        if options.dry_run or not plan.edits:
            return _outcome(plan, snapshot, attempt, landed=None)
        commit = write_commit(snapshot, plan, promoter_id)
        repository.verbose(f"attempt {attempt}: pushing {commit[:12]} on top of {snapshot.commit[:12]}")
        published = publisher.push(snapshot, commit, promoter_id, attempt)
        if published.status == "landed":
            return _outcome(plan, snapshot, attempt, landed=published.commit)
        snapshot = published.snapshot


def plan_bump(options: BumpOptions, repository: Repository, snapshot: Snapshot, cache: Cache) -> Plan:
    """Everything up to the commit: only reads the snapshot. A refused image empties the plan."""
    config, where = _configuration(options, repository, snapshot)
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
    decisions, notices = _decide(options, wishes, where.paths, found, repository, snapshot)
    refused = any(decision.error is not None for decision in decisions)
    edits = {} if refused else _edits(decisions, found)
    return Plan(intent, config, tuple(decisions), tuple(notices), edits)


# --- configuration ---------------------------------------------------------------------------


def _configuration(
    options: BumpOptions, repository: Repository, snapshot: Snapshot
) -> tuple[Config, Environment]:
    """The configuration that rules this write, and the environment that is meant."""
    if options.config is not None:
        file, text = options.config
    else:
        entry = next(iter(repository.entries(snapshot, [CONFIG_FILE])), None)
        if entry is None:
            return _without_configuration(options)
        if entry.path != CONFIG_FILE or not entry.is_regular:
            raise ConfigError(
                "the configuration is no regular file", file=CONFIG_FILE, next_step="replace it by a file"
            )
        file, text = CONFIG_FILE, _text(entry, repository)
    if options.paths:
        raise UsageError(
            f"--path is for manifest repositories without a configuration, and this one has {file}",
            next_step="name one of its environments with --env",
        )
    config = parse_config(text, file, version=__version__)
    return config, environment(config, options.environment or "")


def _without_configuration(options: BumpOptions) -> tuple[Config, Environment]:
    if not options.paths:
        raise ConfigError(
            f"the manifest repository has no {CONFIG_FILE}",
            next_step="add one, give a local file with --config, or name directories with --path",
            reason="no-configuration",
        )
    config = config_for_paths(options.paths)
    return config, next(iter(config.environments.values()))


def _text(entry: Entry, repository: Repository) -> str:
    _, content = next(iter(repository.read([entry.blob])))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            "the configuration is not UTF-8", file=entry.path, next_step="save it as UTF-8"
        ) from None


def _wish(options: BumpOptions, scope: Scope, intent: Intent, image: ImageReference) -> Wish:
    """The image with the rules that the configuration and the caller have for it."""
    rule = next((rule for rule in scope.config.images if glob_text(image.name, rule.match)), None)
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
    decisions = [moves.conclude(wish, chosen[wish.image]) for wish in used]
    for decision in decisions:
        unreadable = found.unreadable.get(decision.wish.image, [])
        notices += moves.notices(decision, unreadable, strict=options.strict)
    return decisions, notices


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


# --- edits and outcome -----------------------------------------------------------------------


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


def _outcome(plan: Plan, snapshot: Snapshot, attempts: int, landed: str | None) -> Outcome:
    error = next((decision.error for decision in plan.decisions if decision.error is not None), None)
    fates = {decision.fate for decision in plan.decisions}
    status: RunStatus
    if error is not None:
        status = "refused"
    elif "move" in fates:
        status = "planned" if landed is None else "promoted"
    else:
        status = "superseded" if "superseded" in fates else "unchanged"
    return Outcome(
        verb="bump",
        status=status,
        reason=error.reason if error is not None else _reason(plan, status),
        environment=plan.intent.environment,
        app=plan.intent.app,
        base=snapshot.base,
        commit_sha=landed,
        attempts=attempts,
        changes=changes_of(plan, status if status in ("refused", "promoted") else "planned"),
        warnings=plan.notices,
        error=Failed.of(error) if error is not None else None,
        edits=tuple((entry.path, old, new) for entry, (old, new) in plan.edits.items()),
    )


def _reason(plan: Plan, status: RunStatus) -> str:
    """A slug that says why, from the sites that decided."""
    if status in ("promoted", "planned"):
        return "changed"
    codes = [
        choice.code for decision in plan.decisions for choice in decision.choices if choice.status == status
    ]
    return codes[0] if codes else "image-not-used"
