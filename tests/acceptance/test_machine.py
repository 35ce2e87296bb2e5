"""This machine, the network and the signals fail: the right exit code, one document, nothing left behind."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import IMAGE, STAGING, WANTED, Bench, assert_error
from tests.acceptance.test_faults import FETCH, FETCH_REFS, PUSH, PUSH_REFS
from tests.support import repos
from tests.support.cli import Result, finish, run_promoter
from tests.support.gitserver import Fault, GitServer

# --- the network


def test_connection_refused(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # ours, and nobody listens
        bench.address = f"http://127.0.0.1:{taken.getsockname()[1]}/repo.git"
        bench.refused(*STAGING, *WANTED, code=9, says="cannot be reached", reason="unreachable")


def test_a_host_that_does_not_exist(bench: Bench) -> None:
    bench.address = "http://does-not-exist.invalid/x.git"
    bench.refused(*STAGING, *WANTED, code=9, says="does-not-exist.invalid", reason="unreachable")


def test_a_server_that_is_no_git_server(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("status", status=200, times=10**6))
    bench.refused(*STAGING, *WANTED, code=9, says="is this a git repository", timeout=20)


# --- the disk


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(place)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=60)


@pytest.fixture
def heavy(bench: Bench) -> Bench:
    """An environment that needs about a megabyte."""
    noise = "".join(f"# {hash_of(number)}\n" for number in range(20_000))
    repos.commit_files(bench.repo, {"envs/staging/large.yaml": f"image: {IMAGE}:1.0.0\n{noise}"}, "Large")
    return bench


def hash_of(number: int) -> str:
    return f"{pow(number + 7, 65537, (1 << 127) - 1):032x}"


@pytest.mark.parametrize("size", ["4k", "32k", "64k", "96k", "128k", "512k", "1m"])
@pytest.mark.parametrize("over_http", [False, True])
def test_a_full_disk(heavy: Bench, tmp_path: Path, size: str, over_http: bool) -> None:
    with contextlib.ExitStack() as stack:
        heavy.tmp = stack.enter_context(small_disk(tmp_path / "small", size))
        if over_http:
            server = stack.enter_context(GitServer(heavy.root))
            heavy.address = f"{server.url}/repo.git"
        heavy.refused(*STAGING, *WANTED, code=9, says="the disk is full", reason="disk-full")


def test_a_limit_on_file_sizes(heavy: Bench) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    result = heavy.bump(*STAGING, *WANTED, preexec_fn=limit)
    assert_error(result, 9, "")


@pytest.mark.parametrize("kind", ["absent", "file", "read-only"])
def test_a_temporary_directory_that_cannot_be_written(bench: Bench, tmp_path: Path, kind: str) -> None:
    place = {"absent": tmp_path / "absent", "file": tmp_path / "file", "read-only": Path("/proc/self")}[kind]
    if kind == "file":
        place.touch()
    env = {"TMPDIR": str(place)}
    bench.refused(*STAGING, *WANTED, code=9, says=f"temporary directory can be made in {place}", env=env)


# --- the git program


def test_no_git(bench: Bench, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    env = {"PATH": str(empty)}
    bench.refused(*STAGING, *WANTED, code=9, says="git is not on PATH", reason="git-absent", env=env)


@pytest.mark.parametrize(
    ("script", "says", "reason"),
    [
        ("echo git version 2.20.1", "git version 2.20.1 is too old", "git-too-old"),
        ("echo git version 2.31.8 '(Apple Git-1)'", "2.31.8", "git-too-old"),
        ("true", "too old", "git-too-old"),
        ("kill -9 $$", "killed by SIGKILL", "machine"),
        ("echo broken >&2; exit 1", "broken", "machine"),
    ],
)
def test_a_git_that_does_not_do(bench: Bench, tmp_path: Path, script: str, says: str, reason: str) -> None:
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    bench.refused(*STAGING, *WANTED, code=9, says=says, reason=reason, env=env)


def test_a_git_that_cannot_be_run(bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text("no script\n")
    program.chmod(0o755)
    bench.refused(*STAGING, *WANTED, code=9, says="cannot be run", env={"PATH": str(program.parent)})


# --- signals


@pytest.mark.parametrize("request_", [FETCH_REFS, FETCH, PUSH_REFS, PUSH])
@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_during_a_hang(
    bench: Bench, server: GitServer, request_: str, number: int, code: int, reason: str
) -> None:
    before = bench.tip
    stuck = threading.Event()
    server.add_fault(Fault("hang", request_, times=10**6, action=stuck.set))
    process = bench.start(*STAGING, *WANTED, "--output", "json")
    assert stuck.wait(60)
    process.send_signal(number)
    result = finish(process)
    bench.check(result)
    assert_error(result, code, "stopped by SIG")
    assert result.document["reason"] == reason
    assert bench.tip == before
    assert children_of(bench) == []


def test_a_signal_says_so_in_text(bench: Bench, server: GitServer) -> None:
    stuck = threading.Event()
    server.add_fault(Fault("hang", FETCH, action=stuck.set))
    process = bench.start(*STAGING, *WANTED)
    assert stuck.wait(60)
    process.terminate()
    result = finish(process)
    assert (result.code, result.stdout) == (143, "")
    assert result.stderr.startswith("error: stopped by SIGTERM\n")


def test_two_signals(bench: Bench, server: GitServer) -> None:
    stuck = threading.Event()
    server.add_fault(Fault("hang", FETCH, action=stuck.set))
    process = bench.start(*STAGING, *WANTED, "--output", "json")
    assert stuck.wait(60)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    bench.check(result)
    assert result.code in (130, 143)  # the kernel may deliver the second one first
    assert result.document["error"]["exit"] == result.code


def children_of(bench: Bench) -> list[str]:
    """The command lines of all processes that run with this test's TMPDIR, once the killed ones are gone."""
    mark = f"TMPDIR={bench.tmp}\0".encode()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = [line for folder in Path("/proc").glob("[0-9]*") if (line := command_line(folder, mark))]
        if not found:
            return []
    return found


def command_line(folder: Path, mark: bytes) -> str:
    try:
        if mark in (folder / "environ").read_bytes() + b"\0":
            return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        pass
    return ""


def test_no_child_survives_the_deadline(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("hang", times=10**6))
    assert bench.bump(*STAGING, *WANTED, "--deadline", "1").code == 9
    assert children_of(bench) == []


# --- standard output


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("loud", [False, True])
def test_a_reader_that_has_gone(bench: Bench, output: str, loud: bool) -> None:
    """The exit code still tells what became of the bump."""
    reading, writing = os.pipe()
    os.close(reading)
    more = ["-v", "--debug"] if loud else []
    arguments = bench.arguments(*STAGING, *WANTED, "--output", output, *more)
    errors = writing if loud else subprocess.PIPE
    result = run_promoter(*arguments, env=bench.environment(), stdout=writing, stderr=errors)
    os.close(writing)
    assert (result.code, result.stderr) == (0, "")
    assert len(repos.log(bench.repo)) == 2


def test_a_reader_of_an_error_that_has_gone(bench: Bench) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = bench.arguments(*STAGING, "--image", "absent:1", "--output", "json")
    result = run_promoter(*arguments, env=bench.environment(), stdout=writing)
    os.close(writing)
    assert (result.code, result.stderr) == (4, "")


@pytest.mark.parametrize("output", ["text", "json"])
def test_standard_output_on_a_full_disk(bench: Bench, output: str) -> None:
    """The result is lost, and whoever waits for it must know."""
    arguments = bench.arguments(*STAGING, *WANTED, "--output", output)
    with Path("/dev/full").open("w") as full:
        result = run_promoter(*arguments, env=bench.environment(), stdout=full)
    assert result.code == 9
    assert "error: the result could not be written" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(bench: Bench, streams: str) -> None:
    before = run_shell(bench, streams, "--image", "absent:1")
    assert before.code == 4
    result = run_shell(bench, streams, *WANTED)
    assert (result.code, result.stderr) == (0, "")
    assert len(repos.log(bench.repo)) == 2


def run_shell(bench: Bench, streams: str, *args: str) -> Result:
    """A run whose streams a shell has closed."""
    arguments = bench.arguments(*STAGING, *args)
    environment = bench.environment({"PROMOTER_OUTPUT": "json"})
    wrapper = f'exec "$0" "$@" {streams}'
    return run_promoter(*arguments, env=environment, wrapper=("sh", "-c", wrapper))


def test_json_in_another_locale(bench: Bench) -> None:
    """One document in UTF-8, whatever the locale can write."""
    name = "envs/staging/caf\u00e9-\U0001f680.yaml"
    bench.make({name: f"image: {IMAGE}:1.0.0\n"})
    result = bench.bump(
        *STAGING, *WANTED, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    )
    assert (result.code, result.document["changes"][0]["file"]) == (0, name)
    text = bench.run(*bench.arguments(*STAGING, *WANTED), env={"PYTHONIOENCODING": "ascii"})
    assert (text.code, "caf\\xe9" in text.stdout) == (0, True)


def test_a_path_that_is_not_utf8(bench: Bench) -> None:
    name = "envs/staging/caf\udce9.yaml"
    bench.make({name: f"image: {IMAGE}:1.0.0\n"})
    result = bench.bump(*STAGING, *WANTED)
    assert (result.code, result.document["changes"][0]["file"]) == (0, name)
    assert repos.log(bench.repo)[0].sha == result.document["commit_sha"]
