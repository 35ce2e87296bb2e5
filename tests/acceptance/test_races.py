"""Many writers at once, and writers that are killed: nothing lost, nothing twice, nothing backwards."""

import os
import queue
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import manifests, repos
from tests.support.cli import Result, finish, start_promoter
from tests.support.gitserver import Fault, FaultKind, GitServer

WRITERS = 16
SECONDS = 240
FETCH_REFS = "info/refs?service=git-upload-pack"
FETCH = "git-upload-pack"
PUSH_REFS = "info/refs?service=git-receive-pack"
PUSH = "git-receive-pack"


@dataclass
class Place:
    """A manifest repository and the address that writers use."""

    repo: Path
    url: str
    server: GitServer | None

    def all_start_together(self, count: int) -> None:
        """Where a server can: nobody reads the base before everybody has asked for it."""
        if self.server is not None:
            together = threading.Barrier(count, timeout=SECONDS)
            self.server.add_fault(Fault("delay", FETCH_REFS, times=count, action=meet(together)))


def meet(barrier: threading.Barrier) -> Callable[[], None]:
    def wait() -> None:
        barrier.wait()

    return wait


@pytest.fixture(params=["http", "file"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def place(root: Path, transport: str) -> Iterator[Place]:
    repo = manifests.make(root / "deploy.git", {f"app-{n:02d}": "1.0.0" for n in range(WRITERS)})
    if transport == "file":
        yield Place(repo, repo.as_uri(), None)
        return
    with GitServer(root) as server:
        yield Place(repo, f"{server.url}/deploy.git", server)


def race(place: Place, commands: Sequence[Sequence[str]]) -> list[Result]:
    """All commands at once, each a process of its own."""
    place.all_start_together(len(commands))
    processes = [start_promoter(*command) for command in commands]
    return wait_for(processes)


def wait_for(processes: Sequence[subprocess.Popen[str]]) -> list[Result]:
    try:
        return [finish(process, SECONDS) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def assert_all_end_well(results: Sequence[Result], *statuses: str) -> None:
    assert [result for result in results if result.code or manifests.status(result) not in statuses] == []


def values_over_time(repo: Path, app: str) -> list[str]:
    """The tags that the app had, oldest first, one for each commit."""
    return [manifests.tags(repo, commit.sha)[app] for commit in reversed(repos.log(repo))]


def assert_only_tags_differ(repo: Path) -> None:
    text = manifests.kustomization(manifests.tags(repo))
    assert repos.read_file(repo, manifests.FILE).decode() == text


def test_no_update_of_sixteen_apps_is_lost(place: Place) -> None:
    wanted = {f"app-{n:02d}": f"1.{n + 1}.0" for n in range(WRITERS)}
    results = race(place, [manifests.bump_of(place.url, f"{app}:{tag}") for app, tag in wanted.items()])
    assert_all_end_well(results, "promoted")
    assert manifests.tags(place.repo) == wanted
    assert_only_tags_differ(place.repo)
    commits = repos.log(place.repo)[:-1]
    assert sorted(commit.trailers["Promoter-App"][0] for commit in commits) == sorted(wanted)
    assert {result.document["commit_sha"] for result in results} == {commit.sha for commit in commits}
    repos.fsck(place.repo)


def test_one_app_never_steps_back(place: Place) -> None:
    numbers = random.sample(range(1, 40), WRITERS)
    results = race(place, [manifests.bump_of(place.url, f"app-00:1.{n}.0") for n in numbers])
    assert_all_end_well(results, "promoted", "superseded")
    minors = [int(tag.split(".")[1]) for tag in values_over_time(place.repo, "app-00")]
    assert minors == sorted(set(minors))
    assert minors[-1] == max(numbers)
    promoted = [result.document["commit_sha"] for result in results if manifests.status(result) == "promoted"]
    assert sorted(promoted) == sorted(commit.sha for commit in manifests.landings(place.repo, "app-00"))
    repos.fsck(place.repo)


def test_builds_named_by_commits_never_step_back(place: Place) -> None:
    builds = {n: f"{n:02d}ab{n:03d}cdef" for n in random.sample(range(1, 90), 8)}
    manifests.land(place.url, "app-00:00ab000cdef", "--order", "acme/api:build#0")
    commands = [
        manifests.bump_of(place.url, f"app-00:{tag}", "--order", f"acme/api:build#{n}")
        for n, tag in builds.items()
    ]
    results = race(place, commands)
    assert_all_end_well(results, "promoted", "superseded")
    tags = values_over_time(place.repo, "app-00")[1:]
    assert tags == sorted(set(tags))
    assert tags[-1] == builds[max(builds)]
    repos.fsck(place.repo)


def test_the_same_bump_lands_once(place: Place) -> None:
    results = race(place, [manifests.bump_of(place.url, "app-03:2.0.0")] * 8)
    assert_all_end_well(results, "promoted", "unchanged")
    assert sorted(map(manifests.status, results)) == ["promoted"] + ["unchanged"] * 7
    assert len(manifests.landings(place.repo, "app-03")) == 1
    assert len(repos.log(place.repo)) == 2
    repos.fsck(place.repo)


# --- kill -9, over http: when a request of the run arrives


def killer(pid: "queue.SimpleQueue[int]") -> Callable[[], None]:
    def kill() -> None:
        os.kill(pid.get(timeout=SECONDS), signal.SIGKILL)

    return kill


KILLED_AT: tuple[tuple[FaultKind, str], ...] = (
    ("delay", FETCH_REFS),
    ("cut-before", FETCH_REFS),
    ("delay", FETCH),
    ("cut-after", FETCH),
    ("delay", PUSH_REFS),
    ("cut-after", PUSH_REFS),
    ("cut-before", PUSH),  # the push never arrived
    ("delay", PUSH),  # Git goes on alone and the push lands
    ("cut-after", PUSH),  # the push landed and nobody was told
)


def test_killed_runs_converge_over_http(root: Path) -> None:
    wanted = {f"app-{n:02d}": f"2.{n}.0" for n in range(len(KILLED_AT) + 1)}
    repo = manifests.make(root / "deploy.git", dict.fromkeys(wanted, "1.0.0"))
    with GitServer(root) as server:
        processes = [
            start_and_kill(server, root, app, tag, number) for number, (app, tag) in enumerate(wanted.items())
        ]
        assert [result.code for result in wait_for(processes)] == [-signal.SIGKILL] * len(wanted)
        assert server.faults == []
        place = Place(repo, f"{server.url}/deploy.git", server)
        assert_second_run_converges(place, wanted)


def start_and_kill(server: GitServer, root: Path, app: str, tag: str, number: int) -> "subprocess.Popen[str]":
    """Start a run that comes by an address of its own and dies at its moment."""
    (root / f"{app}.git").symlink_to("deploy.git")
    pid: queue.SimpleQueue[int] = queue.SimpleQueue()
    if number < len(KILLED_AT):
        kind, request = KILLED_AT[number]
        server.add_fault(Fault(kind, f"{app}.git/{request}", action=killer(pid)))
    else:
        # It landed, the reply was lost, and it dies while it looks for what became of its push.
        look_again = Fault("delay", f"{app}.git/{FETCH_REFS}", action=killer(pid))
        server.add_fault(Fault("cut-after", f"{app}.git/{PUSH}", action=adder(server, look_again)))
    process = start_promoter(
        *manifests.bump_of(f"{server.url}/{app}.git", f"{app}:{tag}"), env=scratch_of(root)
    )
    pid.put(process.pid)
    return process


def scratch_of(folder: Path) -> dict[str, str]:
    """A TMPDIR for what a killed run leaves behind."""
    (folder / "tmp").mkdir(exist_ok=True)
    return {"TMPDIR": str(folder / "tmp")}


def adder(server: GitServer, fault: Fault) -> Callable[[], None]:
    def add() -> None:
        server.add_fault(fault)

    return add


def assert_second_run_converges(place: Place, wanted: Mapping[str, str]) -> None:
    results = race(place, [manifests.bump_of(place.url, f"{app}:{tag}") for app, tag in wanted.items()])
    assert_all_end_well(results, "promoted", "unchanged")
    assert manifests.tags(place.repo) == {**manifests.tags(place.repo), **wanted}
    assert_only_tags_differ(place.repo)
    assert {app: len(manifests.landings(place.repo, app)) for app in wanted} == dict.fromkeys(wanted, 1)
    assert len(repos.log(place.repo)) == len(wanted) + 1
    repos.fsck(place.repo)


# --- kill -9, over file://: before and while each Git command, and inside the server's hooks

CALLS = 8  # version, clone, rev-parse, ls-tree, fetch, cat-file, fast-import, push
HOOKS = ("pre-receive", "update", "reference-transaction", "post-receive")

GIT_THAT_KILLS = """\
#!/bin/sh
# The git program, until its caller is killed at one call: "before" it runs, "while" it runs, or in a hook.
echo "$1" >> '{folder}/calls'
export PROMOTER_PID=$PPID DIES_IN='{hook}'
if [ "$(wc -l < '{folder}/calls')" -eq {call} ]; then
  kill -KILL $PPID
  [ {when} = while ] || exit 1
fi
exec '{git}' "$@"
"""
HOOK = """\
#!/bin/sh
[ "$DIES_IN" != {name} ] || kill -KILL $PROMOTER_PID
"""


def test_killed_runs_converge_over_file(root: Path, tmp_path: Path) -> None:
    moments = [(call, when, "") for call in range(1, CALLS + 1) for when in ("before", "while")]
    moments += [(0, "", hook) for hook in HOOKS]
    wanted = {f"app-{n:02d}": f"2.{n}.0" for n in range(len(moments))}
    repo = manifests.make(root / "deploy.git", dict.fromkeys(wanted, "1.0.0"))
    install_hooks(repo)
    processes = []
    for (app, tag), (call, when, hook) in zip(wanted.items(), moments, strict=True):
        path = install_git(tmp_path / app, call, when, hook)
        command = manifests.bump_of(repo.as_uri(), f"{app}:{tag}")
        processes.append(start_promoter(*command, env={"PATH": path, **scratch_of(tmp_path)}))
    codes = [result.code for result in wait_for(processes)]
    assert codes == [-signal.SIGKILL] * len(wanted)
    assert_second_run_converges(Place(repo, repo.as_uri(), None), wanted)


def install_hooks(repo: Path) -> None:
    (repo / "hooks").mkdir(exist_ok=True)
    for name in HOOKS:
        executable(repo / "hooks" / name, HOOK.format(name=name))


def install_git(folder: Path, call: int, when: str, hook: str) -> str:
    """A folder with a `git` that kills its caller; returns the PATH that finds it."""
    folder.mkdir()
    git = shutil.which("git")
    executable(folder / "git", GIT_THAT_KILLS.format(folder=folder, call=call, when=when, hook=hook, git=git))
    return f"{folder}:{os.environ['PATH']}"


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
