"""The test support does what it says: the other tests stand on it."""

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.gitserver import Fault, FaultKind, GitServer, LoopbackServer, Proxy
from tests.support.tls import make_ca

FILES = {"envs/staging/kustomization.yaml": "images: []\n", "docs/notes.md": "notes\n"}
FETCH_REFS = "info/refs?service=git-upload-pack"
PUSH_REFS = "info/refs?service=git-receive-pack"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repos.make_repo(tmp_path / "root/team/repo.git", FILES)


@pytest.fixture
def server(repo: Path) -> Iterator[GitServer]:
    with GitServer(repo.parent.parent) as running:
        yield running


@dataclass
class Client:
    folder: Path

    def git(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *args],
            cwd=self.folder,
            env=repos.clean_env(**env),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def clone(self, url: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.git("clone", "--quiet", *args, url, "work", **env)

    def change(self, content: bytes) -> str:
        (self.folder / "work/new.bin").write_bytes(content)
        self.work("add", "new.bin")
        self.work("commit", "--quiet", "-m", "Add new.bin")
        return self.work("rev-parse", "HEAD").stdout.strip()

    def work(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.git("-C", "work", *args, **env)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    folder = tmp_path / "client"
    folder.mkdir()
    return Client(folder)


def url_of(server: GitServer) -> str:
    return f"{server.url}/team/repo.git"


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- serving


def test_clone_and_push(server: GitServer, client: Client, repo: Path) -> None:
    ok(client.clone(url_of(server)))
    assert (client.folder / "work/docs/notes.md").read_text() == "notes\n"
    sha = client.change(b"small")
    ok(client.work("push", "--quiet"))
    assert repos.git(repo, "rev-parse", "main") == sha
    repos.fsck(repo)
    assert [(r.method, r.service, r.status) for r in server.requests] == [
        ("GET", "git-upload-pack", 200),
        ("POST", "git-upload-pack", 200),
        ("POST", "git-upload-pack", 200),
        ("GET", "git-receive-pack", 200),
        ("POST", "git-receive-pack", 200),
    ]
    assert server.requests[0].path == "/team/repo.git/info/refs"
    assert server.requests[0].query == "service=git-upload-pack"


def test_large_bodies_go_through_chunked_both_ways(server: GitServer, client: Client, repo: Path) -> None:
    noise = os.urandom(5_000_000)
    ok(client.clone(url_of(server)))
    server.reset()
    sha = client.change(noise)
    ok(client.work("push", "--quiet"))  # above http.postBuffer: chunked, after a probe
    assert repos.git(repo, "rev-parse", "main") == sha
    assert 5_000_000 < server.bytes_in < 5_100_000
    assert server.bytes_out < 10_000
    server.reset()
    ok(client.git("clone", "--quiet", "--bare", url_of(server), "again.git"))
    assert 5_000_000 < server.bytes_out < 5_100_000
    assert sum(r.bytes_out for r in server.requests) == server.bytes_out
    assert all(r.seconds > 0 for r in server.requests)
    assert repos.read_file(client.folder / "again.git", "new.bin") == noise


def test_gzip_request_bodies_are_understood(server: GitServer, client: Client, repo: Path) -> None:
    for number in range(40):  # enough refs to make git compress its list of wants and haves
        repos.git(
            repo, "update-ref", f"refs/tags/t{number}", repos.commit_files(repo, {"f": str(number)}, "C")
        )
    trace = client.clone(url_of(server), GIT_CURL_VERBOSE="1")
    ok(trace)
    assert "Content-Encoding: gzip" in trace.stderr
    ok(client.work("fetch", "--quiet", "origin", "refs/tags/*:refs/tags/*"))


def test_partial_clone_fetches_only_what_it_reads(server: GitServer, client: Client, repo: Path) -> None:
    repos.commit_files(repo, {"large.bin": os.urandom(300_000)}, "Add a large file")
    ok(client.clone(url_of(server), "--filter=blob:none", "--depth=1", "--no-checkout"))
    assert server.bytes_out < 10_000
    server.reset()
    assert ok(client.work("show", "HEAD:docs/notes.md")) == "notes\n"
    assert server.requests


def test_filter_can_be_refused(server: GitServer, client: Client, tmp_path: Path) -> None:
    repos.make_repo(tmp_path / "root/plain.git", FILES, allow_filter=False)
    done = client.clone(f"{server.url}/plain.git", "--filter=blob:none", "--no-checkout")
    assert "filtering not recognized by server" in ok(done) + done.stderr


def test_unknown_repository_is_not_found(server: GitServer, client: Client) -> None:
    done = client.git("ls-remote", f"{server.url}/absent.git")
    assert "not found" in done.stderr
    assert server.requests[0].status == 404


def test_hooks_run_and_their_refusal_reaches_the_client(
    server: GitServer, client: Client, repo: Path
) -> None:
    ok(client.clone(url_of(server)))
    hook = repo / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "no, $REMOTE_USER"\nexit 1\n')
    hook.chmod(0o755)
    client.change(b"refused")
    done = client.work("push")
    assert done.returncode != 0
    assert "remote: no, tester" in done.stderr


def test_many_clients_at_once(server: GitServer, client: Client) -> None:
    def fetch(number: int) -> int:
        return client.git("clone", "--quiet", "--bare", url_of(server), f"c{number}.git").returncode

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(fetch, range(32))) == {0}


# --- credentials, TLS, proxy


def test_credentials(repo: Path, client: Client) -> None:
    with GitServer(repo.parent, credentials=("bot", "s3cret")) as server:
        address = server.url.removeprefix("http://")
        assert client.git("ls-remote", f"{server.url}/repo.git").returncode != 0
        assert client.git("ls-remote", f"http://bot:wrong@{address}/repo.git").returncode != 0
        server.reset()
        ok(client.git("ls-remote", f"http://bot:s3cret@{address}/repo.git"))
        seen = [(r.status, r.authorization) for r in server.requests]
        assert seen[0] == (401, False)
        assert set(seen[1:]) == {(200, True)}


def test_tls_is_verified(repo: Path, client: Client, tmp_path: Path) -> None:
    ca, certificate, key = make_ca(tmp_path / "tls")
    with GitServer(repo.parent, tls=(certificate, key)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert client.git("ls-remote", f"{server.url}/repo.git").returncode != 0
        assert not server.requests
        ok(client.clone(f"{server.url}/repo.git", GIT_SSL_CAINFO=str(ca)))
        sha = client.change(os.urandom(2_000_000))
        ok(client.work("push", "--quiet", GIT_SSL_CAINFO=str(ca)))
        assert repos.git(repo, "rev-parse", "main") == sha
        name = f"https://localhost:{server.port}/repo.git"
        ok(client.git("ls-remote", name, GIT_SSL_CAINFO=str(ca)))


def test_proxy_forwards_plain_http(server: GitServer, client: Client, repo: Path) -> None:
    with Proxy() as proxy:
        ok(client.clone(url_of(server), http_proxy=proxy.url))
        sha = client.change(os.urandom(2_000_000))
        ok(client.work("push", "--quiet", http_proxy=proxy.url))
        assert proxy.targets[0] == f"{url_of(server)}/info/refs?service=git-upload-pack"
        assert len(proxy.targets) == len(server.requests)
    assert repos.git(repo, "rev-parse", "main") == sha


def test_proxy_tunnels_tls(repo: Path, client: Client, tmp_path: Path) -> None:
    ca, certificate, key = make_ca(tmp_path / "tls")
    with GitServer(repo.parent, tls=(certificate, key)) as server, Proxy() as proxy:
        env = {"GIT_SSL_CAINFO": str(ca), "https_proxy": proxy.url.replace("//", "//user:canary@")}
        ok(client.clone(f"{server.url}/repo.git", **env))
        assert {(r.method, r.target) for r in proxy.requests} == {("CONNECT", f"127.0.0.1:{server.port}")}


def test_proxy_reports_an_unreachable_upstream(client: Client) -> None:
    with Proxy() as proxy:
        done = client.git("ls-remote", f"http://127.0.0.1:{free_port()}/x.git", http_proxy=proxy.url)
        assert "502" in done.stderr


def free_port() -> int:
    with Proxy() as gone:
        return gone.port


# --- faults


def test_status_fault_fires_as_often_as_told(server: GitServer, client: Client) -> None:
    fault = server.add_fault(Fault("status", FETCH_REFS, times=2, status=429, headers={"Retry-After": "7"}))
    trace = client.git("ls-remote", url_of(server), GIT_CURL_VERBOSE="1")
    assert "429" in trace.stderr
    assert "Retry-After: 7" in trace.stderr
    assert server.faults == [fault]
    assert client.git("ls-remote", url_of(server)).returncode != 0
    assert (server.faults, fault.fired) == ([], 2)
    ok(client.git("ls-remote", url_of(server)))
    assert [(r.status, r.fault) for r in server.requests][:2] == [(429, "status")] * 2


def test_fault_without_end(server: GitServer, client: Client) -> None:
    server.add_fault(Fault("status", times=-1))
    for _ in range(3):
        assert client.git("ls-remote", url_of(server)).returncode != 0
    server.reset()
    ok(client.git("ls-remote", url_of(server)))


@pytest.mark.parametrize(
    ("match", "fetches", "pushes"),
    [
        (FETCH_REFS, False, True),
        ("git-upload-pack", False, True),
        (PUSH_REFS, True, False),
        ("git-receive-pack", True, False),
        ("", False, False),
        ("other.git/git-upload-pack", True, True),
        ("repo.git/git-upload-pack", False, True),
    ],
)
def test_faults_hit_the_request_they_name(
    server: GitServer, client: Client, match: str, fetches: bool, pushes: bool
) -> None:
    ok(client.clone(url_of(server)))
    client.change(b"x")
    server.add_fault(Fault("status", match, times=-1))
    assert (client.work("fetch").returncode == 0) is fetches
    assert (client.work("push").returncode == 0) is pushes


def test_cut_before_leaves_the_repository_alone(server: GitServer, client: Client, repo: Path) -> None:
    ok(client.clone(url_of(server)))
    before = repos.git(repo, "rev-parse", "main")
    client.change(os.urandom(100_000))
    server.reset()
    server.add_fault(Fault("cut-before", "git-receive-pack"))
    assert client.work("push").returncode != 0
    assert repos.git(repo, "rev-parse", "main") == before
    assert server.requests[-1].status == 0
    assert server.requests[-1].bytes_in > 100_000
    assert server.requests[-1].bytes_out == 0
    ok(client.work("push", "--quiet"))


def test_cut_after_lands_the_push_and_says_nothing(server: GitServer, client: Client, repo: Path) -> None:
    ok(client.clone(url_of(server)))
    sha = client.change(b"landed")
    tips: list[str] = []

    def land_foreign_commit() -> None:
        tips.append(repos.git(repo, "rev-parse", "main"))
        repos.commit_files(repo, {"foreign": "x"}, "Foreign")

    server.add_fault(Fault("cut-after", "git-receive-pack", action=land_foreign_commit))
    assert client.work("push").returncode != 0
    assert tips == [sha]
    assert [c.subject for c in repos.log(repo)] == ["Foreign", "Add new.bin", "Start"]
    assert (server.requests[-1].status, server.requests[-1].bytes_out) == (0, 0)


def test_curl_sends_again_what_is_cut_on_a_kept_connection(
    server: GitServer, client: Client, repo: Path
) -> None:
    ok(client.clone(url_of(server)))
    sha = client.change(b"sent twice")
    server.reset()
    server.add_fault(Fault("cut-before", "git-receive-pack", fresh=False))
    ok(client.work("push", "--quiet"))
    assert repos.git(repo, "rev-parse", "main") == sha
    posts = [r.status for r in server.requests if r.method == "POST"]
    assert posts == [0, 200]


def test_the_probe_of_a_large_push_is_not_what_is_cut(server: GitServer, client: Client, repo: Path) -> None:
    ok(client.clone(url_of(server)))
    sha = client.change(os.urandom(3_000_000))
    server.reset()
    server.add_fault(Fault("cut-after", "git-receive-pack"))
    assert client.work("push").returncode != 0
    assert repos.git(repo, "rev-parse", "main") == sha
    posts = [(r.status, r.bytes_in > 3_000_000) for r in server.requests if r.method == "POST"]
    assert posts == [(200, False), (0, True)]


def test_redirect(server: GitServer, client: Client, repo: Path) -> None:
    with GitServer(repo.parent.parent) as other:
        server.add_fault(Fault("redirect", FETCH_REFS, location=other.url + "{target}"))
        ok(client.clone(url_of(server)))
        assert [r.status for r in server.requests] == [302]
        assert {r.status for r in other.requests} == {200}


def test_delay_answers_late(server: GitServer, client: Client) -> None:
    server.add_fault(Fault("delay", FETCH_REFS, seconds=0.2))
    ok(client.git("ls-remote", url_of(server)))
    assert server.requests[0].seconds >= 0.2


def test_hang_holds_the_client_but_not_the_shutdown(repo: Path, client: Client) -> None:
    reached = threading.Event()
    with GitServer(repo.parent) as server, ThreadPoolExecutor(1) as pool:
        server.add_fault(Fault("hang", action=reached.set))
        waiting = pool.submit(client.git, "ls-remote", f"{server.url}/repo.git")
        assert reached.wait(30)
        assert not waiting.done()
        server.close()
        assert waiting.result(30).returncode != 0
        assert server.requests[0].status == 0


@pytest.mark.parametrize("kind", ["status", "cut-before", "cut-after", "redirect", "delay", "hang"])
def test_a_failing_action_fails_the_test(repo: Path, client: Client, kind: FaultKind) -> None:
    def fail() -> None:
        raise LookupError("from the action")

    def use() -> None:
        with GitServer(repo.parent) as server:
            server.add_fault(Fault(kind, action=fail))
            client.git("ls-remote", f"{server.url}/repo.git")

    with pytest.raises(LookupError, match="from the action"):
        use()


def test_closing_ends_a_backend_at_work(repo: Path, client: Client, tmp_path: Path) -> None:
    ok(client.git("clone", "--quiet", str(repo), "work"))
    client.change(b"never landed")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    hook = repo / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho here > '{fifo}'\nexec sleep 600\n")
    hook.chmod(0o755)
    with GitServer(repo.parent) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.work, "push", f"{server.url}/repo.git", "HEAD:main")
        assert fifo.read_text() == "here\n"
        server.close()
        assert waiting.result(30).returncode != 0
    assert [c.subject for c in repos.log(repo)] == ["Start"]


def test_a_server_without_a_handler_says_so() -> None:
    with pytest.raises(NotImplementedError), LoopbackServer() as server:
        server.handle(server._listener)


# --- repositories


def test_make_repo(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"a b": b"\x00\xff", 'q"\\ü': "text", "run": "#!/bin/sh\n", "link": "a b"}
    repo = repos.make_repo(tmp_path / "r", files, branch="trunk", modes={"run": "100755", "link": "120000"})
    assert repos.git(repo, "symbolic-ref", "HEAD") == "refs/heads/trunk"
    assert repos.read_file(repo, "a b", "trunk") == b"\x00\xff"
    assert repos.read_file(repo, 'q"\\ü', "trunk") == b"text"
    assert repos.git(repo, "ls-tree", "trunk", "run").startswith("100755")
    assert repos.git(repo, "ls-tree", "trunk", "link").startswith("120000")
    repos.fsck(repo)
    with pytest.raises(repos.GitFailedError):
        repos.read_file(repo, "absent", "trunk")


def test_empty_repo_is_born_by_its_first_commit(tmp_path: Path) -> None:
    repo = repos.make_repo(tmp_path / "r", {})
    repos.fsck(repo)
    sha = repos.commit_files(repo, {"a": "1"}, "First")
    assert [c.sha for c in repos.log(repo)] == [sha]


def test_commit_and_log(repo: Path) -> None:
    message = "Change\n\nWhy it was done.\n\nRefs: 1\nRefs: 2\nImage: ghcr.io/acme/app\n"
    changes = {"docs/notes.md": None, "new/ü.txt": "x"}
    sha = repos.commit_files(repo, changes, message, author="Ann <ann@example.com>", date="@1800000000 +0000")
    first, start = repos.log(repo)
    assert (first.sha, first.subject, first.parents) == (sha, "Change", (start.sha,))
    assert (first.author, first.committer) == ("Ann <ann@example.com>", repos.AUTHOR)
    assert first.body.startswith("Why it was done.\n\nRefs: 1")
    assert first.trailers == {"Refs": ["1", "2"], "Image": ["ghcr.io/acme/app"]}
    assert start.trailers == {}
    assert repos.git(repo, "log", "-1", "--format=%ct") == "1800000000"
    names = repos.git(repo, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "main").splitlines()
    assert names == ["envs/staging/kustomization.yaml", "new/ü.txt"]
    repos.fsck(repo)


def test_concurrent_commits_are_all_kept(repo: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        shas = list(pool.map(lambda n: repos.commit_files(repo, {f"f{n}": str(n)}, f"C{n}"), range(24)))
    assert {c.sha for c in repos.log(repo)} >= set(shas)
    assert len(repos.log(repo)) == 25
    assert repos.read_file(repo, "f7") == b"7"
    repos.fsck(repo)


def test_revert(repo: Path) -> None:
    sha = repos.commit_files(repo, {"docs/notes.md": "changed\n"}, "Change notes")
    repos.commit_files(repo, {"other": "kept"}, "Another")
    new = repos.revert(repo, sha)
    newest = repos.log(repo)[0]
    assert newest.sha == new
    assert newest.subject == 'Revert "Change notes"'
    assert f"This reverts commit {sha}." in newest.body
    assert repos.read_file(repo, "docs/notes.md") == b"notes\n"
    assert repos.read_file(repo, "other") == b"kept"


def test_fsck_finds_a_broken_repository(repo: Path) -> None:
    blob = repos.git(repo, "rev-parse", "main:docs/notes.md")
    (repo / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(AssertionError):
        repos.fsck(repo)


def test_make_history(repo: Path) -> None:
    tip = repos.make_history(repo, 300, "noise/{n}.txt")
    again = repos.make_history(repo, 2, "counter", message="Tick {n}")
    commits = repos.log(repo)
    assert len(commits) == 303
    assert [c.subject for c in commits[:3]] == ["Tick 1", "Tick 0", "Filler 299"]
    assert (commits[0].sha, commits[2].sha) == (again, tip)
    assert repos.read_file(repo, "noise/299.txt") == b"counter: 299\n"
    assert repos.read_file(repo, "docs/notes.md") == b"notes\n"
    repos.fsck(repo)


@pytest.mark.parametrize(("n_files", "per_environment"), [(1, 1), (40, 1), (1203, 203), (500, 500)])
def test_big_tree(tmp_path: Path, n_files: int, per_environment: int) -> None:
    repo = repos.big_tree(tmp_path / "r", n_files, per_environment=per_environment, repack=True)
    names = repos.git(repo, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert len(names) == n_files
    assert sum(name.startswith("envs/staging/") for name in names) == per_environment
    text = repos.read_file(repo, "envs/staging/kustomization.yaml").decode()
    assert '  - name: ghcr.io/acme/app-000\n    newTag: "1.0.0"\n' in text
    repos.fsck(repo)
