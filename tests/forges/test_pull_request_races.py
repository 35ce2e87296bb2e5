"""Several runs at once: one pull request for each app, the newest image on it, and nothing lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forges.pull_request_bench import Bench, behind_proxy, branch_of
from tests.forges.stage import Stage
from tests.support import repos
from tests.support.manifests import status

# Where runs wait for each other, each at its first request of the kind.
LOOK = r"^GET \S+/(pulls|merge_requests)\?"
PUSH = r"^POST \S+/git-receive-pack$"
START = r"^GET \S+/info/refs\?service=git-upload-pack$"
FETCH = r"^POST \S+/git-upload-pack$"


@pytest.fixture
def bench(stage: Stage, tmp_path: Path) -> Iterator[Bench]:
    with behind_proxy(stage, tmp_path / "scratch", ["api", "web"]) as made:
        yield made


def test_different_images_at_once(bench: Bench) -> None:
    """First nothing is there when both look; then there is a pull request, and both push to it."""
    for older, newer, where in (("1.1.0", "1.2.0", LOOK), ("1.3.0", "1.4.0", PUSH)):
        bench.proxy.meet(where, 2)
        results = bench.together([bench.bump("api", older), bench.bump("api", newer)])
        assert bench.proxy.met
        assert {status(one) for one in results} <= {"proposed", "superseded"}
        assert status(results[1]) == "proposed"
        bench.assert_converged("api", newer)
    assert len(bench.stage.pull_requests()) == 1


def test_the_same_image_at_once(bench: Bench) -> None:
    bench.proxy.meet(PUSH, 2)
    results = bench.together([bench.bump("api", "1.1.0")] * 2)
    assert bench.proxy.met
    assert [status(one) for one in results] == ["proposed"] * 2
    assert {one.document["pull_requests"][0]["number"] for one in results} == {1}
    one = bench.assert_converged("api", "1.1.0")
    assert [result.document["commit_sha"] for result in results] == [one.head] * 2
    assert len(bench.stage.pull_requests()) == 1


def test_bump_and_sync_at_once(bench: Bench) -> None:
    """Also with a neighbour that only sync looks at, and whose base moves."""
    bench.run(bench.bump("web", "1.1.0"))
    for number, where in enumerate(
        (LOOK, START) if bench.stage.forge == "gitea" else (LOOK, START, FETCH), 1
    ):
        bench.proxy.meet(where, 2)
        results = bench.together([bench.bump("api", f"1.{number}.0"), ["sync"]])
        assert bench.proxy.met
        assert status(results[0]) == "proposed"
        bench.assert_converged("api", f"1.{number}.0")
        bench.assert_converged("web", "1.1.0")
        bench.play.add({"file": f"docs/{number}.md"})
    assert len(bench.stage.pull_requests()) == 2


# --- eight apps in one file: each merge makes neighbours conflict

FILE = "envs/production/kustomization.yaml"


def kustomization(tags: dict[str, str]) -> str:
    entries = "".join(f'  - {{name: ghcr.io/acme/{app}, newTag: "{tag}"}}\n' for app, tag in tags.items())
    return f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n{entries}"


def test_eight_apps_at_once_and_merged_one_by_one(bench: Bench) -> None:
    """Gitea is slow: three there."""
    apps = [f"app-{number}" for number in range(3 if bench.stage.forge == "gitea" else 8)]
    bench.play.commit("main", {FILE: kustomization(dict.fromkeys(apps, "1.0.0"))}, "One file for all")
    bench.proxy.meet(PUSH, len(apps))
    results = bench.together([bench.bump(app, "2.0.0") for app in apps])
    assert [status(one) for one in results] == ["proposed"] * len(apps)
    opened = {one.branch: one.number for one in bench.stage.pull_requests()}
    assert sorted(opened) == [branch_of(app) for app in apps]
    landed: dict[str, str] = {}
    for app in apps:
        bench.stage.merge(opened[branch_of(app)])
        landed[app] = "2.0.0"
        assert repos.read_file(bench.stage.git, FILE).decode() == kustomization(
            dict.fromkeys(apps, "1.0.0") | landed
        )
        if len(landed) < len(apps):
            bench.run(["sync"])
    assert [one.state for one in bench.stage.pull_requests()] == ["merged"] * len(apps)
