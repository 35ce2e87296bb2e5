"""Signed commits: by SSH and by GPG, with keys as text, as a file, by name and from an agent."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import manifests, repos
from tests.support.cli import Result, run_promoter
from tests.support.gitserver import Fault, GitServer
from tests.support.manifests import bump, configured, land
from tests.support.programs import need

BOT = "Deploy Bot <bot@example.com>"
IMAGE = "api:1.1.0"
STAGING = ("--env", "staging")


def make(path: Path, kind: str) -> Path:
    commit = f'commit: {{author: "{BOT}", sign: {kind}}}'
    return manifests.make(path, {"api": "1.0.0", "web": "1.0.0"}, configured(commit))


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: an agent's socket in it has room for its address."""
    with tempfile.TemporaryDirectory(prefix="pt-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(params=["short", "long"])
def scratch(request: pytest.FixtureRequest, short: Path, tmp_path: Path) -> Iterator[Path]:
    """The run's TMPDIR, also where no socket's address has room; empty again afterwards."""
    folder = {"short": short / "tmp", "long": tmp_path / ("a long name " * 8)}[request.param]
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def run(*arguments: str, **env: str) -> str:
    """A program that must end well."""
    done = subprocess.run(
        arguments,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def signing_error(result: Result) -> str:
    """The text of an error that says that there is no signature, and so no commit."""
    error = result.document["error"]
    assert (result.code, error["exit"], manifests.status(result)) == (2, 2, "failed"), result
    assert error["next"]
    assert "PRIVATE KEY" not in result.stdout.replace("PRIVATE KEY BLOCK", "") + result.stderr
    return f"{error['message']} {error['next']}"


def assert_one_signed_landing(repo: Path) -> None:
    start, commit = repos.log(repo)[1], repos.log(repo)[0]
    assert commit.parents == (start.sha,)
    assert commit.author == commit.committer == BOT
    assert commit.trailers["Promoter-App"] == ["api"]
    assert manifests.tags(repo) == {"api": "1.1.0", "web": "1.0.0"}
    repos.fsck(repo)


# --- ssh


@dataclass
class SshKey:
    file: Path
    public: str

    @property
    def text(self) -> str:
        return self.file.read_text()

    def verify(self, repo: Path, folder: Path, commit: str = "main") -> None:
        """Git says that the signature is good, and whose it is."""
        allowed = folder / "allowed_signers"
        allowed.write_text(f"bot@example.com {self.public}\n")
        options = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}")
        done = subprocess.run(
            ["git", "-C", str(repo), *options, "verify-commit", commit],
            env=repos.clean_env(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert 'Good "git" signature for bot@example.com' in done.stderr


def make_ssh_key(folder: Path, kind: str = "ed25519", passphrase: str = "") -> SshKey:
    need("openssh-client", "ssh-keygen", "ssh-agent", "ssh-add")
    file = folder / f"id {kind}"
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-f", str(file))
    return SshKey(file, Path(f"{file}.pub").read_text().strip())


@pytest.fixture
def ssh_key(tmp_path: Path) -> SshKey:
    return make_ssh_key(tmp_path)


@pytest.fixture
def ssh_repo(tmp_path: Path) -> Path:
    return make(tmp_path / "deploy.git", "ssh")


@pytest.mark.parametrize("form", ["text", "file", "crlf"])
def test_ssh(ssh_repo: Path, ssh_key: SshKey, scratch: Path, tmp_path: Path, form: str) -> None:
    given = {"text": ssh_key.text, "file": str(ssh_key.file), "crlf": ssh_key.text.replace("\n", "\r\n")}
    env = {"PROMOTER_SIGNING_KEY": given[form], "TMPDIR": str(scratch)}
    land(ssh_repo, IMAGE, *STAGING, env=env)
    ssh_key.verify(ssh_repo, tmp_path)
    assert_one_signed_landing(ssh_repo)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_ssh_keys(ssh_repo: Path, tmp_path: Path, kind: str) -> None:
    key = make_ssh_key(tmp_path, kind)
    land(ssh_repo, IMAGE, *STAGING, env={"PROMOTER_SIGNING_KEY": key.text})
    key.verify(ssh_repo, tmp_path)


@pytest.mark.parametrize("form", ["key", "file"])
def test_ssh_by_the_callers_agent(
    ssh_repo: Path, ssh_key: SshKey, short: Path, tmp_path: Path, form: str
) -> None:
    with agent(short / "agent.sock") as socket:
        run("ssh-add", "-q", str(ssh_key.file), SSH_AUTH_SOCK=socket)
        ssh_key.file.unlink()
        given = f"key::{ssh_key.public}" if form == "key" else f"{ssh_key.file}.pub"
        env = {"PROMOTER_SIGNING_KEY": given, "SSH_AUTH_SOCK": socket}
        land(ssh_repo, IMAGE, *STAGING, env=env)
    ssh_key.verify(ssh_repo, tmp_path)


@contextlib.contextmanager
def agent(socket: Path) -> Iterator[str]:
    command = ["ssh-agent", "-D", "-a", str(socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline()
            yield str(socket)
        finally:
            process.kill()


def test_a_signed_commit_that_lost_a_race_is_signed_again(
    ssh_repo: Path, ssh_key: SshKey, scratch: Path, tmp_path: Path
) -> None:
    with GitServer(ssh_repo.parent) as server:

        def overtake() -> None:
            text = manifests.kustomization({"api": "1.0.0", "web": f"1.{len(repos.log(ssh_repo))}.0"})
            repos.commit_files(ssh_repo, {manifests.FILE: text}, "Bump web")

        server.add_fault(Fault("delay", "git-receive-pack", times=2, action=overtake))
        env = {"PROMOTER_SIGNING_KEY": ssh_key.text, "TMPDIR": str(scratch)}
        result = bump(f"{server.url}/deploy.git", IMAGE, *STAGING, env=env)
    assert (result.code, manifests.status(result), result.document["attempts"]) == (0, "promoted", 3), result
    ssh_key.verify(ssh_repo, tmp_path)
    assert manifests.tags(ssh_repo) == {"api": "1.1.0", "web": "1.2.0"}


# --- gpg


@dataclass
class GpgKey:
    home: Path
    fingerprint: str

    @property
    def text(self) -> str:
        return run(
            "gpg", "--batch", "--armor", "--export-secret-keys", self.fingerprint, GNUPGHOME=str(self.home)
        )

    def verify(self, repo: Path, folder: Path) -> None:
        """Git says that the signature is good, with nothing but the public key in the keyring."""
        ring = folder / "ring"
        ring.mkdir(mode=0o700)
        public = folder / "public.asc"
        export = ("--armor", "--output", str(public), "--export", self.fingerprint)
        run("gpg", "--batch", *export, GNUPGHOME=str(self.home))
        run("gpg", "--batch", "--quiet", "--import", str(public), GNUPGHOME=str(ring))
        done = subprocess.run(
            ["git", "-C", str(repo), "verify-commit", "main"],
            env=repos.clean_env(GNUPGHOME=str(ring)),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert 'Good signature from "Deploy Bot <bot@example.com>"' in done.stderr
        assert self.fingerprint in done.stderr


def make_gpg_key(home: Path, passphrase: str = "") -> GpgKey:
    need("gnupg", "gpg", "gpgconf")
    home.mkdir(mode=0o700)
    words = ("--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase)
    run("gpg", *words, "--quick-generate-key", BOT, "ed25519", "sign", "never", GNUPGHOME=str(home))
    listed = run("gpg", "--batch", "--list-secret-keys", "--with-colons", GNUPGHOME=str(home))
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    return GpgKey(home, fingerprint)


@pytest.fixture
def gpg_key(short: Path) -> Iterator[GpgKey]:
    yield make_gpg_key(short / "gpg")
    run("gpgconf", "--kill", "all", GNUPGHOME=str(short / "gpg"))


@pytest.fixture
def gpg_repo(tmp_path: Path) -> Path:
    return make(tmp_path / "deploy.git", "gpg")


@pytest.mark.parametrize("form", ["text", "file", "binary file"])
def test_gpg(gpg_repo: Path, gpg_key: GpgKey, scratch: Path, short: Path, form: str) -> None:
    given = gpg_key.text
    if form != "text":
        file = short / "signing key"
        file.write_text(given)
        if form == "binary file":
            arguments = ("--output", f"{file}.gpg", "--export-secret-keys", gpg_key.fingerprint)
            run("gpg", "--batch", *arguments, GNUPGHOME=str(gpg_key.home))
            file = Path(f"{file}.gpg")
        given = str(file)
    env = {"PROMOTER_SIGNING_KEY": given, "TMPDIR": str(scratch)}
    land(gpg_repo, IMAGE, *STAGING, env=env)
    gpg_key.verify(gpg_repo, short)
    assert_one_signed_landing(gpg_repo)


@pytest.mark.parametrize("form", ["fingerprint", "mail"])
def test_gpg_by_the_callers_keyring(gpg_repo: Path, gpg_key: GpgKey, short: Path, form: str) -> None:
    given = gpg_key.fingerprint if form == "fingerprint" else "bot@example.com"
    land(gpg_repo, IMAGE, *STAGING, env={"PROMOTER_SIGNING_KEY": given, "GNUPGHOME": str(gpg_key.home)})
    gpg_key.verify(gpg_repo, short)


def test_the_agent_that_gpg_starts_ends_with_the_run(gpg_repo: Path, gpg_key: GpgKey, scratch: Path) -> None:
    env = {"PROMOTER_SIGNING_KEY": gpg_key.text, "TMPDIR": str(scratch)}
    before = gpg_agents()
    land(gpg_repo, IMAGE, *STAGING, env=env)
    left = [words for words in gpg_agents() - before if b"promoter-" in words]
    assert left == []


def gpg_agents() -> set[bytes]:
    """The command lines of all agents: they name their home."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(place.read_bytes())
    return {words for words in found if b"gpg-agent" in words}


# --- keys that do not work


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
@pytest.mark.parametrize("given", [None, "", "  \n"])
def test_no_key(tmp_path: Path, kind: str, given: str | None) -> None:
    repo = make(tmp_path / "deploy.git", kind)
    env = {} if given is None else {"PROMOTER_SIGNING_KEY": given}
    said = signing_error(bump(repo, IMAGE, *STAGING, env=env))
    assert f"({kind})" in said
    assert "PROMOTER_SIGNING_KEY" in said
    assert len(repos.log(repo)) == 1


def test_a_dry_run_needs_no_key(ssh_repo: Path) -> None:
    result = bump(ssh_repo, IMAGE, *STAGING, "--dry-run")
    assert (result.code, manifests.status(result)) == (0, "planned")


BROKEN = "-----BEGIN {} PRIVATE KEY{}-----\n\nY2FuYXJ5LWtleQ==\n-----END {} PRIVATE KEY{}-----\n"
BROKEN_SSH = BROKEN.format("OPENSSH", "", "OPENSSH", "")
BROKEN_GPG = BROKEN.format("PGP", " BLOCK", "PGP", " BLOCK")


@pytest.mark.parametrize("form", ["text", "file"])
@pytest.mark.parametrize(("kind", "text"), [("ssh", BROKEN_SSH), ("gpg", BROKEN_GPG)])
def test_a_broken_key(tmp_path: Path, scratch: Path, kind: str, text: str, form: str) -> None:
    repo = make(tmp_path / "deploy.git", kind)
    file = tmp_path / "broken"
    file.write_text(text)
    file.chmod(0o600)
    env = {"PROMOTER_SIGNING_KEY": text if form == "text" else str(file), "TMPDIR": str(scratch)}
    result = bump(repo, IMAGE, *STAGING, env=env)
    said = signing_error(result)
    assert "PROMOTER_SIGNING_KEY" in said
    assert "error:" not in said
    assert "Y2FuYXJ5" not in result.stdout + result.stderr
    assert len(repos.log(repo)) == 1


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
@pytest.mark.parametrize(
    "given", ["/nonexistent/key", "0123456789ABCDEF0123456789ABCDEF01234567", "x" * 3000]
)
def test_a_key_that_is_nowhere(tmp_path: Path, short: Path, kind: str, given: str) -> None:
    repo = make(tmp_path / "deploy.git", kind)
    env = {"PROMOTER_SIGNING_KEY": given, "GNUPGHOME": str(short)}
    said = signing_error(bump(repo, IMAGE, *STAGING, env=env))
    assert "PROMOTER_SIGNING_KEY" in said
    assert len(repos.log(repo)) == 1


@pytest.mark.parametrize("form", ["text", "file"])
def test_an_ssh_key_with_a_passphrase(ssh_repo: Path, tmp_path: Path, form: str) -> None:
    key = make_ssh_key(tmp_path, passphrase="canary-phrase")
    given = key.text if form == "text" else str(key.file)
    said = signing_error(bump(ssh_repo, IMAGE, *STAGING, env={"PROMOTER_SIGNING_KEY": given}))
    assert "passphrase" in said


def test_a_gpg_key_with_a_passphrase(gpg_repo: Path, short: Path) -> None:
    key = make_gpg_key(short / "locked", passphrase="canary-phrase")
    words = ("--batch", "--pinentry-mode", "loopback", "--passphrase", "canary-phrase", "--armor")
    text = run("gpg", *words, "--export-secret-keys", key.fingerprint, GNUPGHOME=str(key.home))
    said = signing_error(bump(gpg_repo, IMAGE, *STAGING, env={"PROMOTER_SIGNING_KEY": text}))
    assert "passphrase" in said
    run("gpgconf", "--kill", "all", GNUPGHOME=str(key.home))


def test_a_public_key_alone(gpg_repo: Path, gpg_key: GpgKey, scratch: Path) -> None:
    export = ("--batch", "--armor", "--export", gpg_key.fingerprint)
    text = run("gpg", *export, GNUPGHOME=str(gpg_key.home))
    env = {"PROMOTER_SIGNING_KEY": text, "TMPDIR": str(scratch)}
    assert "PROMOTER_SIGNING_KEY" in signing_error(bump(gpg_repo, IMAGE, *STAGING, env=env))


# --- files that are no manifests


def test_a_hold_is_signed_too(ssh_repo: Path, ssh_key: SshKey, tmp_path: Path) -> None:
    settings = ("staging", "--app", "api", "--manifest-repo", str(ssh_repo))
    for verb in ("hold", "unhold"):
        done = run_promoter(verb, *settings, env={"PROMOTER_SIGNING_KEY": ssh_key.text})
        assert done.code == 0, done
        ssh_key.verify(ssh_repo, tmp_path)
        assert repos.log(ssh_repo)[0].committer == BOT
    assert len(repos.log(ssh_repo)) == 3
