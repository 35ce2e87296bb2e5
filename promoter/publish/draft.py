"""What a pull request's head shall be: a commit on the base for each run whose images it holds.

A head that people have committed to is never rebuilt: at most one commit is appended,
and what they wrote into an image's place stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from promoter.discover import Cache
from promoter.errors import PromoterError
from promoter.git.history import file_histories
from promoter.git.repository import Snapshot
from promoter.outcome import Notice
from promoter.past.sites import introduced_by
from promoter.plan import plan_bump
from promoter.proposal.merging import policy_of
from promoter.proposal.wanted import options_for, trailers_for, wanted_from_trailers
from promoter.rules import rule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from promoter.decide import Policy
    from promoter.git.branch import Branch
    from promoter.git.repository import Repository
    from promoter.image import ImageReference
    from promoter.options import BumpOptions
    from promoter.plan import Plan, Validate, WriteCommit
    from promoter.proposal.wanted import Wanted
    from promoter.rules import Rules
    from promoter.sites.model import Site
    from promoter.validate.of_edit import Checked


@dataclass(frozen=True)
class Desk:
    """What proposals are made with. ``template`` says where to look, without any run's own wishes."""

    repository: Repository
    template: BumpOptions
    rules: Rules
    base: Snapshot
    write_commit: WriteCommit
    validate: Validate
    caches: dict[tuple[ImageReference, ...], Cache] = field(default_factory=dict)

    def check(self, draft: Draft) -> Checked:
        """What validation says of a head."""
        return self.validate(self.base, self.rules, draft.contents)

    def policy(self, wanted: Wanted) -> Policy:
        """How this image's versions compare: by its run's options and its rule of the configuration."""
        rule = rule_of(wanted.image, self.rules.config)
        plain = policy_of(wanted)
        return replace(plain, order=rule.order) if rule is not None else plain

    def cache(self, images: tuple[ImageReference, ...]) -> Cache:
        """What is known of blobs as far as these images go."""
        return self.caches.setdefault(images, Cache())

    @property
    def signs(self) -> bool:
        """Whether commits are signed, which costs."""
        return self.rules.config.commit.sign is not None


@dataclass(frozen=True)
class Step:
    """The images of one run, and what they change."""

    wanted: tuple[Wanted, ...]
    plan: Plan


@dataclass(frozen=True)
class Draft:
    """The wanted head and how it came about; ``tip`` is the start itself where nothing is left to say."""

    tip: Snapshot
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...]
    superseded: bool = False  # the start has a newer image than one that is wanted

    @property
    def contents(self) -> dict[str, tuple[bytes, bytes]]:
        """The bytes at the start and in the end of each file that changes."""
        found: dict[str, tuple[bytes, bytes]] = {}
        for step in self.steps:
            for path, (before, after) in step.plan.contents.items():
                found[path] = (found[path][0] if path in found else before, after)
        return found

    @property
    def says_something(self) -> bool:
        """Whether merging it would change anything."""
        return bool(self.steps)


def rebuild(desk: Desk, wanted: Sequence[Wanted], *, signed: bool = False) -> Draft:
    """The intents, applied one after the other to the base as it is now."""
    return _apply(desk, desk.base, wanted, signed=signed)


def append(desk: Desk, branch: Branch, wanted: Sequence[Wanted]) -> Draft:
    """What is missing on a head that people have committed to; their own values stay."""
    base_values = {key: value for plan in _plans(desk, desk.base, wanted) for key, value in _present(plan)}
    ours = {(one.image.name, one.image.tag, one.image.digest) for one in wanted_ever(branch, wanted)}

    def spare(site: Site) -> str:
        now = site.reference
        if (now.name, now.tag, now.digest) in ours or base_values.get((site.file, site.where)) == str(now):
            return ""
        return f"a person set {now} in the pull request"

    return _apply(desk, Snapshot(branch.name, branch.tip), wanted, spare, signed=True)


def _apply(
    desk: Desk,
    start: Snapshot,
    wanted: Sequence[Wanted],
    spare: Callable[[Site], str] | None = None,
    *,
    signed: bool,
) -> Draft:
    tip, steps, notices, superseded = start, [], [], False
    for group in _runs(wanted):
        try:
            plan = _plan(desk, tip, group, spare)
        except PromoterError as error:
            notices.append(_left_out(group, error))
            continue
        notices += [*plan.notices, *_spared(plan)]
        superseded = superseded or any(one.fate == "superseded" for one in plan.decisions)
        if plan.says_something:
            tip = _commit(desk, tip, plan, group, signed=signed)
            steps.append(Step(group, plan))
    return Draft(tip, tuple(steps), tuple(notices), superseded)


def wanted_ever(branch: Branch, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Everything that promoter has ever asked for on this branch, and asks for now."""
    return [*(one for commit in branch.commits for one in wanted_from_trailers(commit.trailers)), *wanted]


def _plans(desk: Desk, tip: Snapshot, wanted: Sequence[Wanted]) -> Iterator[Plan]:
    for group in _runs(wanted):
        try:
            yield _plan(desk, tip, group)
        except PromoterError:
            continue  # it is told of where the head itself is planned


def _plan(
    desk: Desk, tip: Snapshot, group: Sequence[Wanted], spare: Callable[[Site], str] | None = None
) -> Plan:
    """Raises the error of an image that is refused."""
    options = options_for(desk.template, group)
    cache = desk.cache(options.request.images)
    plan = plan_bump(options, desk.rules, desk.repository, tip, cache, spare)
    refused = next((one.error for one in plan.decisions if one.error is not None), None)
    if refused is not None:
        raise refused
    return plan


def _commit(desk: Desk, tip: Snapshot, plan: Plan, group: Sequence[Wanted], *, signed: bool) -> Snapshot:
    first = group[0]
    commit = desk.write_commit(tip, plan, first.promoter_id, options=first.options, signed=signed)
    desk.repository.wrote(tip.commit, commit)
    return replace(tip, commit=commit)


def _runs(wanted: Iterable[Wanted]) -> list[tuple[Wanted, ...]]:
    """The images by the run that asked for them, in the order of their first."""
    runs: dict[str, list[Wanted]] = {}
    for one in wanted:
        runs.setdefault(one.promoter_id, []).append(one)
    return [tuple(group) for group in runs.values()]


def _present(plan: Plan) -> Iterator[tuple[tuple[str, str], str]]:
    for decision in plan.decisions:
        for choice in decision.choices:
            yield (choice.site.file, choice.site.where), str(choice.site.reference)


def _spared(plan: Plan) -> Iterator[Notice]:
    for decision in plan.decisions:
        for choice in decision.choices:
            if choice.code == "spared":
                yield Notice(
                    "person-edited", f"left as it is: {choice.note}", choice.site.file, choice.site.line
                )


def _left_out(group: Sequence[Wanted], error: PromoterError) -> Notice:
    images = ", ".join(str(one.image) for one in group)
    return Notice("left-out", f"{images} is left out: {error.message}", error.file, error.line)


def sources_on_base(desk: Desk, draft: Draft) -> dict[str, str]:
    """The source revisions of what stands on the base now, by image name, as far as recent commits tell."""
    moving = [
        (choice.site, step.plan)
        for step in draft.steps
        if any(one.origin.revision for one in step.wanted)
        for decision in step.plan.decisions
        for choice in decision.choices
        if choice.status == "move"
    ]
    revisions = (
        file_histories(desk.repository, desk.base, {site.file for site, _ in moving}) if moving else {}
    )
    found: dict[str, str] = {}
    for site, plan in moving:
        introduced = introduced_by(site, revisions[site.file], plan.find(site.file))
        pairs = introduced.trailers if introduced is not None else ()
        source = trailers_for(pairs, site.reference).get("Promoter-Source")
        if source is not None:
            found[site.reference.name] = source
    return found
