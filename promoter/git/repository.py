"""The manifest repository as this run sees it: a bare directory that lives for one run.

No checkout and no clone of what is not needed: one fetch of one tip without file
contents, one batched fetch of the contents asked for, one commit, one push.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from promoter.errors import ConfigError, DeadlineError, UnreachableError
from promoter.git import failure as failures
from promoter.git.door import Completed, Git, GitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from promoter.git.failure import Failure
    from promoter.git.remote import Remote

DEFAULT_AUTHOR = "promoter <promoter@users.noreply.invalid>"

_BASE = "refs/promoter/base"
_RESULT = "refs/promoter/result"
REGULAR = "100644"  # the mode of a file that is not executable
_REGULAR = frozenset({REGULAR, "100755"})
_OLDEST_GIT = (2, 32)
_TRIES_UNREACHABLE = 3
_MOST_REDIRECTS = 3  # from http to https, to another path, and one to spare
_LAST_LOOK_SECONDS = 10.0
_TREE_RECORD = re.compile(r"([0-7]+) [a-z]+ ([0-9a-f]+)\t([^\0]+)\0")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One tip of the base branch."""

    base: str
    commit: str


class Entry(NamedTuple):
    """A file, link or submodule of a snapshot: what `git ls-tree` says of it, in its order."""

    mode: str
    blob: str
    path: str

    @property
    def is_regular(self) -> bool:
        """Whether it is a file with content of its own."""
        return self.mode in _REGULAR


@dataclass(frozen=True, slots=True)
class Pushed:
    """How a push ended: landed, or refused by the server, or not known yet.

    ``reason`` is the server's own word for a refusal; ``message`` has what its hooks said, too.
    """

    status: Literal["landed", "rejected", "failed"]
    message: str = ""
    failure: Failure | None = None
    reason: str = ""


@dataclass
class Repository:
    """A fresh bare directory and the remote that it speaks to. ``scratch`` lives as long."""

    git: Git
    scratch: Path
    remote: Remote
    verbose: Callable[[str], None]
    redirect: Callable[[str], str]
    app_author: Callable[[], str | None] | None = None  # asks the forge
    answered: bool = False
    complete: bool = False  # the server sent every blob: it knows no filters
    _present: set[str] = field(default_factory=set)
    _redirects: int = 0
    _deepened: dict[str, int] = field(default_factory=dict)  # by base
    _tip: Snapshot | None = None
    _begun: Callable[[], Completed] | None = None

    # --- reading -----------------------------------------------------------------------

    @contextlib.contextmanager
    def opening(self, base: str | None) -> Iterator[None]:
        """Begin to fetch the tip of ``base`` for ``open``: within the block the caller may do other work."""
        self._check_version()
        with self.git.begun(*self._clone(base)) as wait:
            self._begun = wait
            yield

    def open(self, base: str | None) -> Snapshot:
        """Fetch the tip of ``base``, by default the branch that the remote's HEAD names.

        Raises ConfigError for an empty repository and for a branch that is not there.
        """

        def clone() -> Completed:
            begun, self._begun = self._begun, None
            # A clone that failed leaves an empty directory behind; git accepts that again.
            return begun() if begun is not None else self.git.run(*self._clone(base))

        completed = self._network(clone, "fetching the manifest repository")
        self.complete = "filtering not recognized" in completed.errors
        head = (self.git.directory / "HEAD").read_text(encoding="utf-8").strip()
        tip = self.git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
        if tip.code != 0:
            raise self._nothing_there()
        if not head.startswith("ref: refs/heads/"):
            raise failures.no_branch(base or "HEAD")
        self._tip = Snapshot(head.removeprefix("ref: refs/heads/"), tip.text)
        return self._tip

    def _clone(self, base: str | None) -> list[str]:
        options = ["--bare", "--quiet", "--no-local", "--depth=1", "--filter=blob:none", "--no-tags"]
        options += ["--single-branch", "--template=", *([f"--branch={base}"] if base else [])]
        return ["clone", *options, "--", self.remote.url, "."]

    def _nothing_there(self) -> ConfigError:
        if self.git.run("ls-remote", "--heads", "--", self.remote.url).output:
            return ConfigError(
                "the HEAD of the manifest repository names a branch that does not exist",
                next_step="name an existing branch with --base",
                reason="no-such-branch",
            )
        return ConfigError(
            "the manifest repository is empty: it has no commit to start from",
            next_step="push a first commit with the manifests to it",
            reason="empty-repository",
        )

    def latest(self, base: str | None) -> Snapshot:
        """The present tip: opened the first time, from then on refreshed."""
        if self._tip is None:
            return self.open(base)
        return self.refresh(self._tip)

    def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The present tip of the same branch. Without a depth: exactly what came since arrives."""
        self.fetch(f"+refs/heads/{snapshot.base}:{_BASE}", doing="fetching the base branch again")
        return Snapshot(snapshot.base, self.git.must("rev-parse", "--verify", _BASE).text)

    def deepen(self, snapshot: Snapshot, commits: int) -> frozenset[str]:
        """Have at least that many more commits than the tip; returns those whose parents are not here.

        Asked for again with a greater number, only what is missing is fetched.
        """
        before = self._shallow()
        missing = commits - self._deepened.get(snapshot.base, 0)
        if not before or missing <= 0:
            return before
        self._deepened[snapshot.base] = commits
        ref, doing = f"refs/heads/{snapshot.base}", "fetching the last commits"
        self.fetch(ref, deepen=missing, doing=doing)
        if before & self._shallow():
            # A server walks by date to see what a shallow commit is reachable from. Where clocks stepped
            # back it may not find out, and leaves it shallow (git 2.39, upload-pack.c: get_reachable_list).
            self.fetch(ref, depth=commits + 1, doing=doing)
        return self._shallow()

    def _shallow(self) -> frozenset[str]:
        """The commits whose parents are not here."""
        listed = self.git.directory / "shallow"
        return frozenset(listed.read_text(encoding="ascii").split()) if listed.exists() else frozenset()

    def fetch(
        self,
        *refspecs: str,
        doing: str,
        stdin: bytes | None = None,
        deepen: int | None = None,
        depth: int | None = None,
        without: str | None = None,
    ) -> None:
        """Fetch refs without file contents, or the objects named on stdin, repeated as the network needs.

        ``deepen`` counts commits from those that are shallow, ``depth`` from the refs' tips.
        ``without`` names a ref of the remote whose commits shall not come along. Raises
        NothingNewError where none is left then.
        """
        # Told what we have, a server takes every file of that commit for present and sends none.
        negotiation = ["-c", "fetch.negotiationAlgorithm=noop"] if stdin is not None else []
        options = [
            "--quiet",
            "--no-tags",
            "--filter=blob:none",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
        ]
        options += ["--stdin"] if stdin is not None else []
        options += [f"--deepen={deepen}"] if deepen is not None else []
        options += [f"--depth={depth}"] if depth is not None else []
        options += [f"--shallow-exclude={without}"] if without is not None else []
        self._network(
            lambda: self.git.run(*negotiation, "fetch", *options, "origin", *refspecs, stdin=stdin), doing
        )

    def files(self, snapshot: Snapshot, prefixes: Iterable[str]) -> list[Entry]:
        """The regular files below the given directories (``.``: all), links and submodules left out."""
        return [entry for entry in self.entries(snapshot, prefixes) if entry.is_regular]

    def entries(self, snapshot: Snapshot, prefixes: Iterable[str]) -> list[Entry]:
        """Everything but directories at or below the given paths."""
        operands = [] if "." in (listed := sorted(set(prefixes))) else listed
        output = self.git.must("ls-tree", "-r", "-z", "--full-tree", snapshot.commit, "--", *operands).output
        records = _TREE_RECORD.findall(output.decode("utf-8", "surrogateescape"))
        return list(map(Entry._make, records))

    def read(self, blobs: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The contents of the blobs as (id, bytes), fetched in one batch, read one at a time."""
        wanted = list(dict.fromkeys(blobs))
        self.bring(wanted)
        if not wanted:
            return
        with tempfile.TemporaryFile(dir=self.git.directory) as request:
            request.write("".join(f"{blob}\n" for blob in wanted).encode("ascii"))
            request.seek(0)
            with self.git.stream("cat-file", "--batch", "--buffer", stdin=request) as output:
                for blob in wanted:
                    header = output.readline().split()
                    if len(header) != 3:
                        raise UnreachableError(f"the object {blob} did not arrive", reason="machine")
                    content = output.read(int(header[2]) + 1)
                    yield blob, content[:-1]

    def bring(self, blobs: Iterable[str]) -> None:
        """Fetch the contents of blobs that are read later, in one batch."""
        self._fetch_blobs([blob for blob in dict.fromkeys(blobs) if blob not in self._present])

    def _fetch_blobs(self, blobs: Sequence[str]) -> None:
        if blobs and not self.complete:
            request = "".join(f"{blob}\n" for blob in blobs).encode("ascii")
            try:
                self.fetch(stdin=request, doing="fetching file contents")
            except failures.UnadvertisedError:
                self._fetch_everything()
        self._present.update(blobs)

    def _fetch_everything(self) -> None:
        """A server that only speaks protocol 0 gives no single blobs: take the tip with all of them."""
        # Told nothing of what we have, it sends the whole tip again.
        options = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-filter"]
        head = (self.git.directory / "HEAD").read_text(encoding="utf-8").strip().removeprefix("ref: ")
        self._network(
            lambda: self.git.run(*options, "--no-write-fetch-head", "--depth=1", "origin", head),
            "fetching all file contents",
        )
        self.complete = True

    # --- writing -----------------------------------------------------------------------

    def commit(
        self, snapshot: Snapshot, files: Mapping[Entry, bytes | None], message: str, author: str
    ) -> str:
        """Write one commit on top of the snapshot that has these files, new or not; returns its id.

        A file whose content is None is deleted. ``author`` is ``Name <mail>``.
        """
        text = message.encode("utf-8", "backslashreplace")  # a path may hold any byte
        identity = f"{author} {int(time.time())} +0000"
        stream = [
            f"commit {_RESULT}\nmark :1\ncommitter {identity}\ndata {len(text)}\n".encode() + text,
            f"\nfrom {snapshot.commit}\n".encode(),
        ]
        for entry, content in files.items():
            if content is None:
                stream.append(b"D " + _quoted(entry.path) + b"\n")
                continue
            head = f"M {entry.mode} inline ".encode() + _quoted(entry.path)
            stream.append(head + f"\ndata {len(content)}\n".encode() + content + b"\n")
        stream.append(b"get-mark :1\ndone\n")
        return self.git.must("fast-import", "--quiet", "--done", "--force", stdin=b"".join(stream)).text

    def push(self, branch: str, commit: str, expected: str, options: Sequence[str] = ()) -> Pushed:
        """One push of a commit to a branch. Says what the server said; never retries.

        ``expected`` is the commit that the branch is at, empty for a branch that is not there
        yet; the server refuses where it is at another one.
        """
        # A base's commit is a child of its lease, so there nothing is forced. Without the lease Git looks
        # at a tip that has moved, and fetches that commit with all its trees only to say so.
        lease = f"--force-with-lease=refs/heads/{branch}:{expected}"
        said = [f"--push-option={option}" for option in options]
        try:
            completed = self.git.run(
                "push", "--porcelain", "--no-verify", lease, *said, "origin", f"{commit}:refs/heads/{branch}"
            )
        except GitTimeoutError:
            return Pushed("failed", "no answer before the deadline")
        remote_lines = [line for line in completed.errors.splitlines() if line.startswith("remote: ")]
        message = " ".join(line.removeprefix("remote: ").strip() for line in remote_lines)
        if completed.code == 0:
            self.answered = True
            return Pushed("landed", message)
        rejected = [line for line in completed.text.splitlines() if line.startswith("!\t")]
        if rejected:
            self.answered = True
            reason = rejected[0].rpartition("\t")[2]
            return Pushed("rejected", f"{reason} {message}".strip(), reason=reason)
        failure = failures.classify(completed)
        self.answered = self.answered or failure.answered
        return Pushed("failed", failure.line, failure)

    def tips(self, *patterns: str) -> dict[str, str]:
        """The remote's branches that match the patterns, with their tips."""
        completed = self._network(
            lambda: self.git.run("ls-remote", "--refs", "--", "origin", *patterns), "listing branches"
        )
        pairs = (line.split("\t") for line in completed.text.splitlines())
        return {ref.removeprefix("refs/heads/"): commit for commit, ref in pairs}

    def wrote(self, before: str, commit: str) -> None:
        """Take note of the files that a commit of our own brings: the remote has them not."""
        output = self.git.must("diff-tree", "-r", "--raw", "--no-renames", "--no-abbrev", before, commit).text
        self._present.update(line.split()[3] for line in output.splitlines())

    def landed(self, before: Snapshot, now: Snapshot, promoter_id: str) -> str | None:
        """The commit between the two tips that carries our ``Promoter-Id``, if one does."""
        if before.commit == now.commit:
            return None
        listed = self.git.run(
            "log", "--format=%H %(trailers:key=Promoter-Id,valueonly,separator=%x20)",
            now.commit, f"^{before.commit}", "--",
        )  # fmt: skip
        for line in listed.text.splitlines():
            commit, *ids = line.split()
            if promoter_id in ids:
                return commit
        return None

    def last_look(self) -> None:
        """Give a final read a few seconds beyond the deadline."""
        self.git.deadline = self.git.deadline.extended(_LAST_LOOK_SECONDS)

    # --- the network --------------------------------------------------------------------

    def _network(self, command: Callable[[], Completed], doing: str) -> Completed:
        """Run a command that may be repeated until it succeeds, by the rules of DESIGN §9."""
        attempt = unreachable = 0
        while True:
            attempt += 1
            try:
                completed = command()
            except GitTimeoutError:
                raise self.too_late(doing) from None
            if completed.code == 0:
                self.answered = True
                return completed
            failure = failures.classify(completed)
            self.answered = self.answered or failure.answered
            if failure.kind == "redirect":
                self._follow_redirect()
                continue
            unreachable += failure.kind == "unreachable"
            self._give_up_on(failure, doing, unreachable)
            if self.git.deadline.passed():
                raise self.too_late(doing, failure.line)
            self.verbose(f"{doing}: {failure.line}; trying again")
            self.git.deadline.back_off(attempt)

    def _give_up_on(self, failure: Failure, doing: str, times_unreachable: int) -> None:
        if failure.kind == "denied":
            raise failures.denied(failure, doing, self.remote)
        if failure.kind == "unadvertised":
            raise failures.UnadvertisedError
        if failure.kind == "nothing-new":
            raise failures.NothingNewError
        if failure.kind in ("no-branch", "no-repository"):
            raise failures.missing(failure, self.remote.url)
        if failure.kind in ("disk", "killed") or times_unreachable >= _TRIES_UNREACHABLE:
            raise failures.unreachable(failure, doing)

    def _follow_redirect(self) -> None:
        from promoter.git.redirect import circle  # only where a server redirects

        self._redirects += 1
        if self._redirects > _MOST_REDIRECTS:
            raise circle(self.remote.url)
        self.remote = self.remote.at(self.redirect(self.remote.url))
        if (self.git.directory / "config").exists():
            self.git.run("remote", "set-url", "origin", self.remote.url)

    def too_late(self, doing: str, last: str | None = None) -> DeadlineError | UnreachableError:
        """The error at the deadline: 7 where a server ever answered, else 9."""
        detail = f" ({last})" if last else ""
        if self.answered:
            return DeadlineError(
                f"the deadline passed while {doing}{detail}",
                next_step="nothing has landed; run again, or raise --deadline",
            )
        return UnreachableError(
            f"no answer from the manifest repository while {doing}{detail}",
            next_step="check the address, the network and the proxy, or raise --deadline",
        )

    def _check_version(self) -> None:
        try:
            text = self.git.must("version").text.partition("\n")[0]
        except GitTimeoutError:
            raise self.too_late("starting git") from None
        found = re.match(r"git version (\d+)\.(\d+)", text)
        if found is None or (int(found[1]), int(found[2])) < _OLDEST_GIT:
            raise UnreachableError(
                f"{text or 'git'} is too old", next_step="install Git 2.32 or newer", reason="git-too-old"
            )


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it: quoted like C where it must be."""
    raw = path.encode("utf-8", "surrogateescape")
    if raw.startswith(b'"') or b"\n" in raw:
        return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    return raw
