"""Whatever the server does wrong: a bump lands once, or says in time and truthfully that it did not."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import CANARY, FILE, FILES, IMAGE, OLD, STAGING, WANTED, Bench
from tests.support import repos
from tests.support.gitserver import Fault, GitServer

FETCH_REFS = "info/refs?service=git-upload-pack"
FETCH = "git-upload-pack"
PUSH_REFS = "info/refs?service=git-receive-pack"
PUSH = "git-receive-pack"
REQUESTS = [FETCH_REFS, FETCH, PUSH_REFS, PUSH]
SLACK = 15.0  # beyond a deadline: a last look, and a busy machine


def overtake(bench: Bench, count: int) -> Callable[[], None]:
    """Commits of somebody else on the base, none of them in our file."""

    def commit() -> None:
        for number in range(count):
            repos.commit_files(bench.repo, {f"docs/{number}.md": f"{number}\n"}, f"Note {number}")

    return commit


# --- passing faults


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_status_that_passes(bench: Bench, server: GitServer, request_: str, status: int) -> None:
    headers = {"Retry-After": "1"} if status == 429 else {}
    fault = server.add_fault(Fault("status", request_, status=status, headers=headers))
    bench.lands()
    assert fault.fired == 1


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_status_that_passes_after_three_times(bench: Bench, server: GitServer, request_: str) -> None:
    fault = server.add_fault(Fault("status", request_, status=503, times=4))
    bench.lands()
    assert fault.fired == 4


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_connection_cut_before(bench: Bench, server: GitServer, request_: str) -> None:
    fault = server.add_fault(Fault("cut-before", request_))
    bench.lands()
    assert fault.fired == 1


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_connection_cut_after(bench: Bench, server: GitServer, request_: str) -> None:
    fault = server.add_fault(Fault("cut-after", request_))
    result = bench.lands()
    again = request_ == PUSH_REFS  # lost before anything was pushed
    assert (fault.fired, result.document["attempts"]) == (1, 1 + again)


def test_every_request_fails_once(bench: Bench, server: GitServer) -> None:
    faults = [server.add_fault(Fault("status", one, status=500)) for one in REQUESTS]
    faults += [server.add_fault(Fault("cut-before", one)) for one in REQUESTS]
    faults += [server.add_fault(Fault("cut-after", PUSH))]
    bench.lands()
    assert [fault.fired for fault in faults] == [1] * 9


def test_reply_lost_and_overtaken(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("cut-after", PUSH, action=overtake(bench, 3)))
    result = bench.lands()
    history = [one.sha for one in repos.log(bench.repo)]
    assert history.index(result.document["commit_sha"]) == 3
    assert result.document["attempts"] == 1


def test_reply_lost_and_overtaken_by_a_newer_image(bench: Bench, server: GitServer) -> None:
    """Ours landed, somebody moved the same scalar on: landed all the same, and not moved back."""

    def newer() -> None:
        repos.commit_files(bench.repo, {FILE: OLD.replace("1.0.0", "1.2.0", 1)}, "Newer")

    server.add_fault(Fault("cut-after", PUSH, action=newer))
    result = bench.bump(*STAGING, *WANTED)
    assert (result.code, result.document["status"]) == (0, "promoted")
    assert [one.sha for one in repos.log(bench.repo)][1] == result.document["commit_sha"]
    assert b"1.2.0" in repos.read_file(bench.repo, FILE)


def test_overtaken_before_the_push(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("delay", PUSH_REFS, action=overtake(bench, 2)))
    result = bench.lands()
    assert result.document["attempts"] == 2
    assert len(repos.log(bench.repo)) == 4


def test_overtaken_by_a_newer_image_before_the_push(bench: Bench, server: GitServer) -> None:
    def newer() -> None:
        repos.commit_files(bench.repo, {FILE: OLD.replace("1.0.0", "1.2.0", 1)}, "Newer")

    server.add_fault(Fault("delay", PUSH_REFS, action=newer))
    result = bench.bump(*STAGING, *WANTED)
    assert (result.code, result.document["status"], result.document["commit_sha"]) == (0, "superseded", None)
    assert repos.log(bench.repo)[0].subject == "Newer"


def test_a_reply_that_hangs_after_the_push_was_processed(bench: Bench, server: GitServer) -> None:
    """At the deadline the state of the remote counts, not the reply that never came."""

    def until_closed() -> None:
        server.closing.wait()

    server.add_fault(Fault("cut-after", PUSH, action=until_closed))
    bench.lands("--deadline", "8")


# --- lasting faults


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_status_that_lasts(bench: Bench, server: GitServer, request_: str) -> None:
    server.add_fault(Fault("status", request_, status=503, times=10**6))
    began = time.monotonic()
    bench.refused(*STAGING, *WANTED, "--deadline", "5", code=7, says="deadline", reason="deadline")
    assert time.monotonic() - began < 2 * (5 + SLACK)


@pytest.mark.parametrize("status", [403, 404, 410])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_status_that_denies(bench: Bench, server: GitServer, request_: str, status: int) -> None:
    server.add_fault(Fault("status", request_, status=status, times=10**6))
    bench.refused(*STAGING, *WANTED, code=8, says="refused", reason="denied")
    times = [record.status for record in server.requests].count(status)
    assert times == 2, "a denial is not tried again (one run for JSON, one for text)"


def test_a_server_that_never_answers(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("hang", times=10**6))
    began = time.monotonic()
    bench.refused(*STAGING, *WANTED, "--deadline", "2", code=9, says="no answer", reason="unreachable")
    assert time.monotonic() - began < 2 * (2 + SLACK)


@pytest.mark.parametrize("request_", [PUSH_REFS, PUSH])
def test_a_server_that_hangs_at_the_push(bench: Bench, server: GitServer, request_: str) -> None:
    server.add_fault(Fault("hang", request_, times=10**6))
    began = time.monotonic()
    bench.refused(*STAGING, *WANTED, "--deadline", "5", code=7, says="deadline", reason="deadline")
    assert time.monotonic() - began < 2 * (5 + SLACK)


def test_a_server_that_hangs_from_the_push_on(bench: Bench, server: GitServer) -> None:
    """Nobody can know what became of the push: the message says so, and how to find out."""

    def everything() -> None:
        server.add_fault(Fault("hang", times=10**6))

    server.add_fault(Fault("hang", PUSH, action=everything))
    began = time.monotonic()
    result = bench.bump(*STAGING, *WANTED, "--deadline", "5")
    assert time.monotonic() - began < 5 + SLACK
    assert (result.code, result.document["status"]) == (7, "failed")
    assert "may or may not" in result.document["error"]["next"]
    assert "nothing has landed" not in result.stdout
    assert len(repos.log(bench.repo)) == 1


@pytest.mark.parametrize("text", ["protected: ask the owners", "blocked: temporarily locked, stale, unpack"])
def test_a_hook_that_refuses(bench: Bench, server: GitServer, text: str) -> None:
    """Whatever words a hook chooses, its refusal is final."""
    refuse(bench.repo, text)
    result = bench.refused(*STAGING, *WANTED, code=8, says=text, reason="push-refused")
    assert "pre-receive hook declined" in result.document["error"]["message"]
    assert len([one for one in server.requests if one.path.endswith(PUSH)]) == 2


def refuse(repo: Path, text: str) -> None:
    hook = repo / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit 1\n")
    hook.chmod(0o755)


def test_a_ref_lock_that_passes(bench: Bench, server: GitServer) -> None:
    lock = bench.repo / "refs/heads/main.lock"
    lock.touch()
    server.add_fault(Fault("delay", FETCH_REFS))
    seen = threading.Event()

    def unlock() -> None:
        if seen.is_set():
            lock.unlink(missing_ok=True)
        seen.set()

    server.add_fault(Fault("delay", PUSH_REFS, times=2, action=unlock))
    assert bench.lands().document["attempts"] == 2


# --- credentials


@pytest.mark.parametrize("token", ["wrong", ""])
def test_wrong_or_no_credentials(bench: Bench, token: str) -> None:
    with GitServer(bench.root, credentials=("x-access-token", CANARY)) as server:
        bench.address = f"{server.url}/repo.git"
        env = {"PROMOTER_TOKEN": token and f"{CANARY}-{token}"}
        result = bench.refused(*STAGING, *WANTED, code=8, says="refused", reason="denied", env=env)
        assert "PROMOTER_TOKEN" in result.document["error"]["next"]
        loud = bench.run(*bench.arguments(*STAGING, *WANTED, "-v", "--debug"), env=env)
        assert loud.code == 8


@pytest.mark.parametrize("token", [CANARY, 'canary-"quoted"\\-é %', "canary-\N{SNOWMAN}"])
def test_good_credentials_are_nowhere(bench: Bench, token: str) -> None:
    with GitServer(bench.root, credentials=("x-access-token", token)) as server:
        bench.address = f"{server.url}/repo.git"
        env = {"PROMOTER_TOKEN": token}
        result = bench.lands(env=env)
        loud = bench.run(*bench.arguments(*STAGING, "--image", f"{IMAGE}:1.2.0", "-v", "--debug"), env=env)
        assert loud.code == 0
        assert "canary" not in result.stdout + result.stderr + loud.stdout + loud.stderr


def test_a_password_in_the_address(bench: Bench) -> None:
    with GitServer(bench.root, credentials=("ci", CANARY)) as server:
        bench.address = f"http://ci:{CANARY}@127.0.0.1:{server.port}/repo.git"
        env = {"PROMOTER_TOKEN": ""}
        bench.lands(env=env)
        bench.address = f"http://ci:{CANARY}x@127.0.0.1:{server.port}/repo.git"
        bench.refused(*STAGING, *WANTED, code=8, says="refused", env=env)


# --- redirects


def refs(address: str) -> str:
    return f"{address}/{FETCH_REFS}"


def test_a_redirect_on_the_same_host(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("redirect", refs("/repo"), location=refs("/repo.git"), times=10**6))
    bench.address = f"{server.url}/repo"
    bench.lands()


def test_a_redirect_behind_credentials(bench: Bench) -> None:
    with GitServer(bench.root, credentials=("x-access-token", CANARY)) as server:
        server.add_fault(Fault("redirect", refs("/repo"), location=refs("/repo.git"), times=10**6))
        bench.address = f"{server.url}/repo"
        bench.lands()


@pytest.mark.parametrize("secured", [False, True])
def test_a_redirect_to_another_host(bench: Bench, secured: bool) -> None:
    with (
        GitServer(bench.root, credentials=("x-access-token", CANARY) if secured else None) as first,
        GitServer(bench.root) as other,
    ):
        for request in REQUESTS:
            first.add_fault(Fault("redirect", request, location=f"{other.url}{{target}}", times=10**6))
        bench.address = f"{first.url}/repo.git"
        result = bench.refused(*STAGING, *WANTED, code=9, says=f"{other.url}/repo.git", reason="redirect")
        assert result.document["error"]["next"]
        assert other.requests == []
        assert any(record.authorization for record in first.requests) is secured


@pytest.mark.parametrize("request_", [FETCH, PUSH_REFS, PUSH])
def test_a_redirect_to_another_host_later_on(bench: Bench, request_: str) -> None:
    with (
        GitServer(bench.root, credentials=("x-access-token", CANARY)) as first,
        GitServer(bench.root) as other,
    ):
        first.add_fault(Fault("redirect", request_, location=f"{other.url}{{target}}", times=10**6))
        bench.address = f"{first.url}/repo.git"
        bench.refused(*STAGING, *WANTED, code=9, says="redirect" if request_ == FETCH else "302")
        assert other.requests == []


def test_a_redirect_to_itself(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("redirect", location="{target}", times=10**6))
    bench.refused(*STAGING, *WANTED, code=9, says="circle", reason="redirect", timeout=20)


def test_redirects_in_a_circle(bench: Bench, server: GitServer) -> None:
    server.add_fault(Fault("redirect", refs("/repo"), location=refs("/repo.git"), times=10**6))
    server.add_fault(Fault("redirect", refs("/repo.git"), location=refs("/repo"), times=10**6))
    bench.refused(*STAGING, *WANTED, code=9, says="circle", reason="redirect", timeout=20)


# --- what is sent


LARGE = random.Random(1).randbytes(1 << 20)


@pytest.mark.parametrize(("allow_filter", "most"), [(True, 0.1), (False, 1.1)])
def test_what_nobody_needs_is_fetched_never_or_once(bench: Bench, allow_filter: bool, most: float) -> None:
    """A server without filters sends everything at the start, and not again after a race and a lost reply."""
    bench.make({**FILES, "assets/large.bin": LARGE}, allow_filter=allow_filter)
    with GitServer(bench.root) as server:
        bench.address = f"{server.url}/{bench.repo.name}"
        server.add_fault(Fault("delay", PUSH_REFS, action=overtake(bench, 3)))
        server.add_fault(Fault("cut-before", PUSH))
        server.add_fault(Fault("cut-after", PUSH, action=overtake(bench, 3)))
        result = bench.lands()
        assert result.document["attempts"] == 3
        assert server.bytes_out < most * len(LARGE)
        assert server.bytes_in < 0.05 * len(LARGE)
