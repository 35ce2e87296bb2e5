"""Files that are no manifests, holds and the configuration, landed as images are (DESIGN §9).

The line of a bump without images: what shall stand there is worked out anew on each base,
and a pull request holds it where the environment says so, found again by its branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from promoter.errors import DeniedError, RefusedError
from promoter.forges.port import Condition, ForgeRefusedError, Proposal
from promoter.git.branch import merges_to
from promoter.git.repository import Snapshot
from promoter.message import new_id, trailer_block, trailers
from promoter.outcome import Notice, Outcome
from promoter.proposal.marker import Marker
from promoter.publish.converge import Table, called, report
from promoter.publish.describe import Description
from promoter.publish.draft import Desk
from promoter.publish.existing import look
from promoter.publish.push import Publisher
from promoter.publish.settle import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from promoter.forges.port import Forge, PullRequest
    from promoter.git.repository import Entry
    from promoter.hands import Hands
    from promoter.options import BumpOptions
    from promoter.outcome import PullRequestOperation
    from promoter.publish.existing import Existing
    from promoter.rules import Rules


@dataclass(frozen=True)
class FileChange:
    """What shall become of some files of a snapshot.

    ``files`` are those that do not stand there yet as they shall, None for one to be deleted;
    ``settled`` is the outcome's reason where there is none. ``branch`` is the pull request's,
    ``subject`` says on one line what it does, ``text`` tells more in Markdown.
    """

    rules: Rules
    files: Mapping[Entry, bytes | None]
    branch: str
    subject: str
    text: str
    settled: str
    environment: str | None = None
    app: str | None = None


@dataclass(frozen=True)
class Asked:
    """What a verb asks for; of its ``options`` origin, publication and dry run count here.

    ``change`` says what is left to do on a snapshot. Its second one is the head of a pull
    request that is there: what tells the same is not said in other words.
    """

    verb: str
    options: BumpOptions
    change: Callable[[Snapshot, Snapshot | None], FileChange]


@dataclass(frozen=True)
class _Run:
    asked: Asked
    hands: Hands
    publisher: Publisher
    promoter_id: str = field(default_factory=new_id)

    def message(self, change: FileChange) -> str:
        """Subject and trailers of the commit."""
        return f"{change.subject}\n\n{self.trailers(change)}"

    def trailers(self, change: FileChange) -> str:
        """What machines read of it."""
        where, app = change.environment or "", change.app or ""
        pairs = trailers(where, app, (), self.asked.options.origin, self.promoter_id)
        return trailer_block((key, value) for key, value in pairs if value)

    def write(self, base: Snapshot, change: FileChange, *, signed: bool) -> str:
        """The commit on top of a base."""
        text, origin = self.message(change), self.asked.options.origin
        return self.hands.write_files(base, change.rules.config, change.files, text, origin, signed=signed)


def land_files(hands: Hands, snapshot: Snapshot, asked: Asked) -> Outcome:
    """Land what is asked for, propose it, or find it done; ``hands`` reach the place of the snapshot.

    Raises PromoterError; then nothing has changed on the base.
    """
    run = _Run(asked, hands, Publisher(hands.repository))
    attempt = 0
    while True:
        attempt += 1
        change = asked.change(snapshot, None)
        way = asked.options.publish or change.rules.environment.publish
        if asked.options.dry_run or (way == "push" and not change.files):
            return _outcome(run, change, snapshot, attempt)
        if way == "pull-request":
            proposed = _propose(run, change, snapshot, attempt)
            if proposed is not None:
                return proposed
            snapshot = hands.repository.refresh(snapshot)
            continue
        commit = run.write(snapshot, change, signed=True)
        published = run.publisher.push(snapshot, commit, run.promoter_id, attempt)
        if published.status == "landed":
            outcome = _outcome(run, change, snapshot, attempt)
            return replace(outcome, status="promoted", commit_sha=published.commit)
        snapshot = published.snapshot


def _outcome(run: _Run, change: FileChange, snapshot: Snapshot, attempts: int) -> Outcome:
    """What is to be done, and not done yet."""
    return Outcome(
        verb=run.asked.verb,
        status="planned" if change.files else "unchanged",
        reason="changed" if change.files else change.settled,
        environment=change.environment,
        app=change.app,
        base=snapshot.base,
        attempts=attempts,
        edits=_edits(run, change),
    )


def _edits(run: _Run, change: FileChange) -> tuple[tuple[str, bytes, bytes], ...]:
    """The files before and after, for the diff that people see."""
    before = dict(run.hands.repository.read(entry.blob for entry in change.files if entry.blob))
    return tuple(
        (entry.path, _text(before.get(entry.blob, b"")), content or b"")
        for entry, content in change.files.items()
    )


def _text(content: bytes) -> bytes:
    """Bytes that can be shown: what stood there may be anything."""
    return content.decode("utf-8", "replace").encode("utf-8")


# --- the pull request ------------------------------------------------------------------------


def _propose(run: _Run, change: FileChange, base: Snapshot, attempt: int) -> Outcome | None:
    """Have the pull request hold the change; None where somebody was faster."""
    rules, repository, name = change.rules, run.hands.repository, change.branch
    if not change.files and name not in repository.tips(f"refs/heads/{name}"):
        return _outcome(run, change, base, attempt)
    forge = run.hands.forge(rules.config)
    found = look(repository, forge, base, name)
    if not change.files:
        return _retire(run, change, found, forge, base, attempt)
    if found.branch is not None:
        change = run.asked.change(base, Snapshot(name, found.branch.tip))
    table = Table(_desk(run, rules, base), forge, run.publisher, lambda _: (), attempt)
    condition = forge.condition(found.open) if found.open is not None else Condition()
    head, said = found.tip, None
    if not _says_it(run, change, found, condition, base):
        _raise_if_not_ours(found, condition)
        head = run.write(base, change, signed=True)
        proposal = _proposal(run, table, change)
        options: Sequence[str] = () if forge.keeps_text else forge.push_options(proposal)
        pushed = run.publisher.push_branch(name, head, found.tip, attempt, options)
        if pushed.status != "landed":
            return None
        said = pushed.said
    return _publish_text(run, table, change, found, head, said, condition)


def _desk(run: _Run, rules: Rules, base: Snapshot) -> Desk:
    return Desk(
        run.hands.repository, run.asked.options, rules, base, run.hands.write_commit, run.hands.validate
    )


def _says_it(run: _Run, change: FileChange, found: Existing, condition: Condition, base: Snapshot) -> bool:
    """Whether merging what is there would bring just this; beside a person's commits, this too."""
    repository = run.hands.repository
    if found.branch is None or condition.conflicting:
        return False
    if not found.branch.is_ours:
        entries = repository.entries(Snapshot(found.name, found.tip), [one.path for one in change.files])
        contents = dict(repository.read(one.blob for one in entries if one.is_regular))
        there = {one.path: contents.get(one.blob) for one in entries}
        return all(there.get(entry.path) == content for entry, content in change.files.items())
    wanted = run.write(base, change, signed=False)
    repository.wrote(base.commit, wanted)
    return merges_to(repository, found.branch, base, wanted)


def _raise_if_not_ours(found: Existing, condition: Condition) -> None:
    if condition.queued:
        why, reason = "is in a merge queue", "queued"
    elif found.branch is not None and not found.branch.is_ours:
        why, reason = "holds commits of a person", "person-commits"
    else:
        return
    raise RefusedError(
        f"{called(found.open)} on {found.name} says something else and {why}",
        next_step="merge or close it and delete its branch, then run again",
        reason=reason,
    )


def _proposal(run: _Run, table: Table, change: FileChange) -> Proposal:
    settings = table.settings
    return Proposal(
        change.branch,
        table.desk.base.base,
        change.subject,
        f"{change.text}\n\n{run.trailers(change)}",
        draft=settings.draft,
        labels=settings.labels,
        assignees=settings.assignees,
        reviewers=settings.reviewers,
        team_reviewers=settings.team_reviewers,
        auto_merge=settings.auto_merge,
    )


def _publish_text(
    run: _Run,
    table: Table,
    change: FileChange,
    found: Existing,
    head: str,
    said: str | None,
    condition: Condition,
) -> Outcome | None:
    """Have the pull request say this; then labels, people, auto-merge. ``said`` None: nothing was pushed."""
    proposal = _proposal(run, table, change)
    operation: PullRequestOperation = "updated" if said is not None else "unchanged"
    pull_request = found.open
    if pull_request is None or (said is not None and not table.forge.keeps_text):
        operation = "created" if pull_request is None else "updated"
        pull_request = _create(table, proposal, said or "")
        if pull_request is None:
            return None
    elif table.forge.keeps_text and change.text not in pull_request.body.replace("\r\n", "\n"):
        table.forge.update(pull_request, proposal.title, proposal.body)
        operation = "updated"
    pull_request = replace(pull_request, head=head)
    marker = Marker(change.environment or "", table.desk.base.base, change.app or "", "", head, ())
    landing = (change.subject, run.trailers(change))
    description = Description(proposal.title, proposal.body, marker, landing)
    notices, landed = settle(table, pull_request, description, condition, pushed=said is not None)
    status: Literal["promoted", "proposed"] = "promoted" if landed else "proposed"
    told = report(pull_request, "merged" if landed else operation)
    return replace(
        _outcome(run, change, table.desk.base, table.attempt),
        status=status,
        commit_sha=head,
        pull_requests=(told,) if told is not None else (),
        warnings=tuple(notices),
    )


def _create(table: Table, proposal: Proposal, said: str) -> PullRequest | None:
    try:
        return table.forge.create(proposal, said)
    except DeniedError as error:
        if isinstance(error, ForgeRefusedError) and error.reason in ("exists", "nothing-to-compare"):
            table.publisher.back_off(table.attempt)  # somebody opened it, or the base has it by now
            return None
        error.message += f"; the branch {proposal.branch} is pushed"
        hint = error.next_step or "see what the forge says"
        error.next_step = f"{hint}; or open a pull request from {proposal.branch}"
        raise


def _retire(
    run: _Run, change: FileChange, found: Existing, forge: Forge, base: Snapshot, attempt: int
) -> Outcome:
    """Close a pull request that says something which is not asked for any more."""
    outcome = _outcome(run, change, base, attempt)
    if found.open is None:
        return outcome
    if found.branch is not None and not found.branch.is_ours:
        text = f"{called(found.open)} on {found.name} holds commits of a person: it stays open"
        return replace(outcome, warnings=(Notice("person-commits", text),))
    if forge.keeps_text:
        forge.comment(found.open, f"Closed by promoter: {base.base} is as it shall be.")
        forge.close(found.open)
    else:
        run.publisher.delete_branch(found.name, found.tip)
    told = report(found.open, "closed")
    return replace(outcome, pull_requests=(told,) if told is not None else ())
