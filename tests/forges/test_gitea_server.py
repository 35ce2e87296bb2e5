"""The Gitea that the forge tests use is a real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.gitea import ApiError, Gitea, running


@pytest.fixture(scope="session")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gitea]:
    with running(tmp_path_factory.mktemp("gitea")) as server:
        yield server


def test_a_pull_request_from_a_pushed_branch(gitea: Gitea, tmp_path: Path) -> None:
    owner = gitea.create_user("owner")
    name = gitea.create_repository(owner, "deploy")
    repo = repos.make_repo(tmp_path / "repo.git", {"tag": "1.0.0\n"})
    gitea.push_first(repo, name, owner)
    repos.git(repo, "branch", "bump", "main")
    repos.commit_files(repo, {"tag": "1.1.0\n"}, "Bump", branch="bump")
    repos.git(repo, "push", gitea.git_url(name, owner), "bump")

    wanted = {"title": "Bump", "head": "bump", "base": "main"}
    number = gitea.api("POST", f"/repos/{name}/pulls", wanted, owner.token)["number"]

    pull = gitea.api("GET", f"/repos/{name}/pulls/{number}", token=owner.token)
    assert (pull["state"], pull["user"]["login"]) == ("open", "owner")
    assert pull["head"]["sha"] == repos.resolve(repo, "bump")
    assert pull["base"]["sha"] == repos.resolve(repo, "main")


def test_a_protected_branch_of_an_organisation(gitea: Gitea, tmp_path: Path) -> None:
    boss, writer, stranger = (gitea.create_user(name) for name in ("boss", "writer", "stranger"))
    gitea.create_organisation(boss, "acme")
    gitea.create_team("acme", "writers", [writer])
    name = gitea.create_repository(boss, "manifests", organisation="acme", private=True)
    repo = repos.make_repo(tmp_path / "repo.git", {"tag": "1.0.0\n"})
    gitea.push_first(repo, name, writer)
    gitea.protect(name, "main")

    repos.commit_files(repo, {"tag": "1.1.0\n"}, "Bump")
    with pytest.raises(repos.GitFailedError, match="protected branch"):
        repos.git(repo, "push", gitea.git_url(name, writer), "main")
    with pytest.raises(ApiError, match="404") as refused:
        gitea.api("GET", f"/repos/{name}", token=stranger.token)
    assert refused.value.status == 404


def test_it_ends_with_its_block(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.api("GET", "/version")["version"][0].isdigit()
    assert server.process.returncode is not None
    with pytest.raises(ConnectionRefusedError):
        server.api("GET", "/version")
