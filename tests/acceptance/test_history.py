"""What landed before: the order of builds, reverts, old jobs that run again, and merges."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import manifests, repos
from tests.support.cli import Result
from tests.support.gitserver import GitServer
from tests.support.manifests import bump, land, status, tags, warnings

START = "00aa11b"
BUILD_A = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
BUILD_B = "b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f80"
BUILD_C = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
EARLY, MIDDAY, LATE = ("2026-03-01T08:00:00Z", "2026-03-01T12:00:00+00:00", "2026-03-01T18:00:00+02:00")
FILLER = "envs/production/counter.yaml"
APPS = {"api": START, "web": START}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return manifests.make(tmp_path / "deploy.git", APPS)


def build(namespace: str, number: int, *more: str) -> tuple[str, ...]:
    return ("--order", f"{namespace}#{number}", "--source", BUILD_A, *more)


def land_in_order(repo: Path, *images: str) -> None:
    """Each image by a build of its own, numbers from 1."""
    for number, image in enumerate(images, 1):
        land(repo, image, *build("acme/api:build", number))


def note(result: Result) -> str:
    """What the outcome says about the only site."""
    (change,) = result.document["changes"]
    text: str = change["note"]
    return text


def assert_superseded(result: Result, reason: str) -> None:
    assert (result.code, status(result), result.document["reason"]) == (0, "superseded", reason), result


def assert_landed_unsure(result: Result) -> None:
    assert (result.code, status(result), warnings(result)) == (0, "promoted", ["unknown-order"]), result


# --- a person's revert, and the reverted build's job again


@dataclass
class Reverted:
    """A history in which B is reverted to A."""

    repo: Path
    server: GitServer

    @property
    def url(self) -> str:
        return f"{self.server.url}/deploy.git"

    def run_b_again(self, tag: str, *more: str) -> Result:
        self.server.reset()
        return bump(self.url, f"api:{tag}", *build("acme/api:build", 2, *more))


MakeReverted = Callable[[int, int], Reverted]


@pytest.fixture
def reverted(tmp_path: Path) -> Iterator[MakeReverted]:
    """Make such a history with so many commits before, and tags of that length."""
    with GitServer(tmp_path / "root") as server:

        def make(before: int, length: int) -> Reverted:
            repo = manifests.make(tmp_path / f"root/{before}/deploy.git", APPS)
            repos.make_history(repo, before - 40, FILLER)
            land(repo, f"api:{BUILD_A[:length]}", *build("acme/api:build", 1))
            repos.make_history(repo, 10, FILLER)
            landed = land(repo, f"api:{BUILD_B[:length]}", *build("acme/api:build", 2))
            repos.make_history(repo, 10, FILLER)
            repos.revert(repo, landed)
            repos.make_history(repo, 20, FILLER)
            server.root = repo.parent
            return Reverted(repo, server)

        yield make


@pytest.mark.parametrize("length", [7, 12, 40])
def test_a_revert_stays_when_the_old_job_runs_again(reverted: MakeReverted, length: int) -> None:
    history = reverted(500, length)
    before = len(repos.log(history.repo))
    result = history.run_b_again(BUILD_B[:length])
    assert_superseded(result, "landed-before")
    assert "already landed here and is no longer current" in note(result)
    assert "--again" in note(result)
    assert tags(history.repo)["api"] == BUILD_A[:length]
    assert len(repos.log(history.repo)) == before


def test_again_lands_it(reverted: MakeReverted) -> None:
    history = reverted(100, 7)
    result = history.run_b_again(BUILD_B[:7], "--again")
    assert (result.code, status(result)) == (0, "promoted")
    assert tags(history.repo) == {"api": BUILD_B[:7], "web": START}


def test_strict_order_refuses_it(reverted: MakeReverted) -> None:
    result = reverted(100, 7).run_b_again(BUILD_B[:7], "--strict-order")
    assert (result.code, status(result)) == (6, "refused")
    assert "--again" in result.document["error"]["message"] + result.document["error"]["next"]


def test_a_new_build_lands_on_a_revert(reverted: MakeReverted) -> None:
    history = reverted(100, 7)
    result = bump(history.url, f"api:{BUILD_C}", *build("acme/api:build", 3))
    assert_landed_unsure(result)
    assert tags(history.repo)["api"] == BUILD_C


def test_what_is_fetched_does_not_grow_with_the_history(reverted: MakeReverted) -> None:
    fetched = []
    for commits in (100, 2000):
        history = reverted(commits, 40)
        assert_superseded(history.run_b_again(BUILD_B), "landed-before")
        fetched.append(history.server.bytes_out)
    short, long = fetched
    assert long < 40_000
    assert long < short * 1.2


# --- the order of builds


def test_an_older_build_that_arrives_late_is_superseded(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 12))
    result = bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 9))
    assert_superseded(result, "older-build")
    assert note(result) == "the site already holds a newer build"
    assert tags(repo)["api"] == BUILD_B


def test_a_newer_build_lands(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 9))
    result = bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 10))
    assert (status(result), warnings(result)) == ("promoted", [])


def test_an_older_build_lands_by_allow_downgrade(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 12))
    land(repo, f"api:{BUILD_A}", *build("acme/api:build", 9, "--allow-downgrade"))


def test_strict_order_refuses_an_older_build(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 12))
    result = bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 9, "--strict-order"))
    assert (result.code, status(result), result.document["reason"]) == (6, "refused", "downgrade")
    assert "newer build" in result.document["error"]["message"]
    assert tags(repo)["api"] == BUILD_B


def test_strict_order_refuses_an_older_version(repo: Path) -> None:
    land(repo, "api:1.5.0")
    result = bump(repo, "api:1.4.0", "--strict-order")
    assert (result.code, status(result)) == (6, "refused")
    assert_superseded(bump(repo, "api:1.4.0"), "older-version")


@pytest.mark.parametrize(
    ("time", "expected"), [(EARLY, "superseded"), (LATE, "promoted")], ids=["earlier", "later"]
)
def test_other_pipelines_compare_by_source_time(repo: Path, time: str, expected: str) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 900, "--source-time", MIDDAY))
    result = bump(repo, f"api:{BUILD_A}", *build("acme/api:nightly", 5, "--source-time", time))
    assert (result.code, status(result), warnings(result)) == (0, expected, [])


def test_within_a_pipeline_the_number_counts_and_not_the_time(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 7, "--source-time", MIDDAY))
    late = bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 6, "--source-time", LATE))
    assert_superseded(late, "older-build")


def test_without_any_order_the_run_wins_and_says_so(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 7))
    result = bump(repo, f"api:{BUILD_A}", *build("acme/api:nightly", 5))
    assert_landed_unsure(result)
    assert "not known" in result.document["warnings"][0]["message"]
    assert tags(repo)["api"] == BUILD_A


def test_each_app_has_an_order_of_its_own(repo: Path) -> None:
    land(repo, f"web:{BUILD_B}", *build("acme/web:build", 50))
    land(repo, f"api:{BUILD_A}", *build("acme/api:build", 3))
    land(repo, f"web:{BUILD_C}", *build("acme/web:build", 51))
    assert_superseded(bump(repo, f"api:{BUILD_C}", *build("acme/api:build", 2)), "older-build")


def test_a_hotfix_build_is_a_decision_for_a_person(repo: Path) -> None:
    land(repo, "api:1.5.0", *build("acme/api:release", 20))
    result = bump(repo, "api:1.4.9", *build("acme/api:release", 21))
    error = result.document["error"]
    assert (result.code, status(result), result.document["reason"]) == (6, "refused", "downgrade")
    assert "--allow-downgrade" in error["next"]
    assert "--current" in error["next"]
    assert (error["file"], error["line"]) == (manifests.FILE, 4)
    assert tags(repo)["api"] == "1.5.0"
    land(repo, "api:1.4.9", *build("acme/api:release", 21, "--allow-downgrade"))


def test_the_default_of_a_variable_has_a_history_too(tmp_path: Path) -> None:
    text = f"image:\n  repository: ghcr.io/acme/api\n  tag: ${{TAG:-{START}}}\n"
    repo = repos.make_repo(tmp_path / "variable.git", {"envs/staging/values.yaml": text})
    land_in_order(repo, f"api:{BUILD_A}", f"api:{BUILD_B}")
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 1)), "older-build")
    late = bump(repo, f"api:{BUILD_A}", *build("acme/api:nightly", 5))
    assert_superseded(late, "landed-before")
    now = repos.read_file(repo, "envs/staging/values.yaml").decode()
    assert now == text.replace(START, BUILD_B)


# --- digests

DIGEST_1, DIGEST_2, DIGEST_3 = (f"sha256:{digit * 64}" for digit in "123")


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    text = f"kind: Deployment\nspec:\n  image: ghcr.io/acme/api:stable@{DIGEST_1}\n"
    return repos.make_repo(tmp_path / "pinned.git", {"envs/staging/api.yaml": text})


def test_a_new_digest_under_the_same_tag_moves_by_build_order(pinned: Path) -> None:
    land(pinned, f"api:stable@{DIGEST_3}", *build("acme/api:build", 3))
    late = bump(pinned, f"api:stable@{DIGEST_2}", *build("acme/api:build", 2))
    assert_superseded(late, "older-build")
    land(pinned, f"api:stable@{DIGEST_2}", *build("acme/api:build", 4))
    text = repos.read_file(pinned, "envs/staging/api.yaml").decode()
    assert text == f"kind: Deployment\nspec:\n  image: ghcr.io/acme/api:stable@{DIGEST_2}\n"


def test_a_new_digest_on_a_tag_only_site_changes_nothing_and_says_so(repo: Path) -> None:
    result = bump(repo, f"api:{START}@{DIGEST_1}", *build("acme/api:build", 3))
    assert (result.code, status(result), warnings(result)) == (0, "unchanged", ["mutable-tag"])
    assert len(repos.log(repo)) == 1


# --- merges, squashes and what lies too deep


@pytest.fixture
def work(tmp_path: Path, repo: Path) -> Callable[..., str]:
    """Runs git in a checkout of the manifest repository."""
    folder = tmp_path / "work"
    repos.git(tmp_path, "clone", "--quiet", str(repo), str(folder))

    def run(*arguments: str) -> str:
        return repos.git(folder, *arguments)

    return run


def branch_off(repo: Path, name: str = "side") -> None:
    repos.git(repo, "branch", name, "main")


def merge(work: Callable[..., str], *arguments: str) -> None:
    """Merge the branch `side` into main and push that."""
    work("fetch", "--quiet", "origin")
    work("reset", "--quiet", "--hard", "origin/main")
    work("merge", "--quiet", *arguments, "origin/side")
    if "--squash" in arguments:
        work("commit", "--quiet", "-m", "Promote api (#12)")
    work("push", "--quiet", "origin", "HEAD:main")


def test_the_order_is_found_on_a_merged_branch(repo: Path, work: Callable[..., str]) -> None:
    branch_off(repo)
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8, "--base", "side"))
    repos.make_history(repo, 5, FILLER)
    merge(work, "--no-ff", "-m", "Merge the promotion")
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7)), "older-build")
    assert tags(repo)["api"] == BUILD_B


def test_the_order_is_found_beside_a_merge_that_changed_the_file(
    repo: Path, work: Callable[..., str]
) -> None:
    branch_off(repo)
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8))
    text = repos.read_file(repo, manifests.FILE, "side").decode()
    repos.commit_files(repo, {manifests.FILE: f"# staging\n{text}"}, "Comment", branch="side")
    merge(work, "--no-ff", "-m", "Merge the comment")
    assert tags(repo)["api"] == BUILD_B
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7)), "older-build")


def test_the_order_is_found_where_both_sides_of_a_merge_changed_the_file(
    repo: Path, work: Callable[..., str]
) -> None:
    branch_off(repo)
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8, "--base", "side"))
    text = repos.read_file(repo, manifests.FILE).decode()
    repos.commit_files(repo, {manifests.FILE: f"# staging\n{text}"}, "Comment")
    merge(work, "--no-ff", "-m", "Merge the promotion")
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7)), "older-build")


def test_a_squash_drops_the_order_but_not_what_stood_there(repo: Path, work: Callable[..., str]) -> None:
    land(repo, f"api:{BUILD_A}", *build("acme/api:build", 7))
    branch_off(repo)
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8, "--base", "side"))
    merge(work, "--squash")
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7)), "landed-before")
    assert_landed_unsure(bump(repo, f"api:{BUILD_C}", *build("acme/api:build", 6)))


def test_a_squash_that_keeps_the_trailers_keeps_the_order(repo: Path) -> None:
    landed = land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8))
    body = repos.git(repo, "log", "-1", "--format=%b", landed)
    text = repos.read_file(repo, manifests.FILE)
    repos.git(repo, "update-ref", "refs/heads/main", f"{landed}~1")
    repos.commit_files(repo, {manifests.FILE: text}, f"Promote api (#12)\n\n{body}")
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7)), "older-build")


def test_what_lies_too_deep_is_unknown_and_said(repo: Path) -> None:
    land_in_order(repo, f"api:{BUILD_A}", f"api:{BUILD_B}")
    repos.make_history(repo, 60, FILLER)
    assert_landed_unsure(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 1)))


def test_the_last_fifty_commits_count(repo: Path) -> None:
    land_in_order(repo, f"api:{BUILD_A}", f"api:{BUILD_B}")
    repos.make_history(repo, 48, FILLER)
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 1)), "older-build")


def test_foreign_commits_cannot_confuse_the_reader(repo: Path) -> None:
    land_in_order(repo, f"api:{BUILD_B}")
    text = manifests.kustomization({"api": BUILD_B, "web": BUILD_C})
    message = "Bump web\n\nPromoter-Order: \x1e\x1f#99\x1e\nNote: \x1fx\x1f\x1e\n"
    repos.commit_files(repo, {manifests.FILE: text}, message)
    assert_superseded(bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 0)), "older-build")


@pytest.mark.parametrize("folder", ["envs/[a]*?", ":(top)envs", "envs/ü n"])
def test_any_file_name_has_a_history(tmp_path: Path, folder: str) -> None:
    text = manifests.kustomization({"api": START})
    repo = repos.make_repo(tmp_path / "odd.git", {f"{folder}/kustomization.yaml": text})
    where = ("--env", "odd", "--config", str(config_for(tmp_path)))
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8), *where)
    late = bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7), *where)
    assert_superseded(late, "older-build")


def config_for(folder: Path) -> Path:
    """A configuration of the caller's whose environment is the whole repository."""
    path = folder / "promoter.yaml"
    path.write_text("version: 1\nenvironments: {odd: {path: .}}\n")
    return path


def test_the_order_is_never_that_of_another_app(repo: Path) -> None:
    land(repo, f"api:{BUILD_A}", *build("acme/mono:build", 5))

    def other_tag(number: int) -> str:
        return manifests.kustomization({"api": BUILD_A, "web": f"9{number:03d}abc"})

    trailers = "Promoter-App: web\nPromoter-Order: acme/mono:build#2{n}"
    repos.make_history(repo, 60, manifests.FILE, message=f"Web\n\n{trailers}", content=other_tag)
    assert_landed_unsure(bump(repo, f"api:{BUILD_B}", *build("acme/mono:build", 6)))


def test_a_renamed_environment_has_no_order(repo: Path) -> None:
    land(repo, f"api:{BUILD_B}", *build("acme/api:build", 8))
    text = repos.read_file(repo, manifests.FILE)
    moved = {manifests.FILE: None, "envs/qa/kustomization.yaml": text}
    repos.commit_files(repo, moved, "Rename")
    result = bump(repo, f"api:{BUILD_A}", *build("acme/api:build", 7), "--path", "envs/qa")
    assert_landed_unsure(result)


def test_history_is_not_read_where_versions_decide(tmp_path: Path) -> None:
    repo = manifests.make(tmp_path / "deploy.git", {"api": "1.0.0"})
    folder = tmp_path / "bin"
    folder.mkdir()
    calls = folder / "calls"
    (folder / "git").write_text(f"#!/bin/sh\necho \"$*\" >> '{calls}'\nexec '{shutil.which('git')}' \"$@\"\n")
    (folder / "git").chmod(0o755)
    land(repo, "api:1.1.0", env={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert "--deepen" not in calls.read_text()
