"""Which files of the repository take part in what an environment deploys, and by which others."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from promoter.config import Environment, HelmChart
from promoter.deadline import Deadline
from promoter.git.door import Git, child_environment
from promoter.git.remote import Remote
from promoter.git.repository import Repository
from promoter.validate.closure import Closure, close
from promoter.validate.tree import EditedTree, SnapshotTree
from tests.support import repos
from tests.validate.rendering import CHART, DEPLOYMENT, MemoryTree

PRODUCTION = Environment("production", ("envs/production",))


def closure(files: Mapping[str, str], environment: Environment = PRODUCTION, *, deep: bool = True) -> Closure:
    found, _ = close(MemoryTree(files), [environment], lambda _: deep)
    return found[environment.name]


def chains(found: Closure) -> dict[str, tuple[str, ...]]:
    return {path: found.reach.chain(path) for path in found.reach.came}


TOP = "envs/production/kustomization.yaml"


def test_everything_that_a_kustomization_names_and_by_which_way() -> None:
    files = {
        TOP: """\
resources: [own.yaml, ../../base]
components: [../../parts]
patches: [{path: patches/a.yaml}, {patch: '[]', target: {kind: Pod}}]
patchesStrategicMerge: [patches/b.yaml, "{kind: Pod, metadata: {name: x}}"]
patchesJson6902: [{path: patches/c.yaml, target: {kind: Pod, version: v1, name: x}}]
configMapGenerator: [{name: a, files: [a.txt, key=b.txt], envs: [a.env], env: b.env}]
secretGenerator: [{name: b, files: [c.txt]}]
replacements: [{path: replacement.yaml}]
crds: [crd.json]
configurations: [names.yaml]
openapi: {path: schema.json}
helmGlobals: {chartHome: ../../charts}
helmCharts: [{name: api, valuesFile: values.yaml, additionalValuesFiles: [more.yaml]}]
generators: [generator.yaml]
""",
        "envs/production/generator.yaml": (
            "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\nfiles: [g.txt]\n"
        ),
        "base/kustomization.yml": "bases: [deeper]\n",
        "base/deeper/Kustomization": "resources: [x.yaml]\n",
        "base/deeper/x.yaml": DEPLOYMENT,
        "parts/kustomization.yaml": "kind: Component\npatches: [{path: p.yaml}]\n",
        "parts/p.yaml": DEPLOYMENT,
        "charts/api/Chart.yaml": CHART,
        "charts/api/templates/a.tpl": "",
        "unrelated/kustomization.yaml": "{}\n",
    }
    own = "own.yaml patches/a.yaml patches/b.yaml patches/c.yaml a.txt b.txt c.txt g.txt a.env b.env crd.json"
    for name in f"{own} replacement.yaml names.yaml schema.json values.yaml more.yaml".split():
        files[f"envs/production/{name}"] = "{}\n"
    found = closure(files)
    assert found.reach.problems == []
    assert set(found.reach.came) == set(files) - {"unrelated/kustomization.yaml"}
    assert [(root.tool, root.directory) for root in found.roots.values()] == [
        ("kustomize", "envs/production")
    ]
    assert found.plain == frozenset()
    ways = chains(found)
    assert ways["base/deeper/x.yaml"] == (
        TOP,
        "base/kustomization.yml",
        "base/deeper/Kustomization",
        "base/deeper/x.yaml",
    )
    assert ways["parts/p.yaml"] == (TOP, "parts/kustomization.yaml", "parts/p.yaml")
    assert ways["charts/api/templates/a.tpl"] == (TOP, "charts/api/Chart.yaml", "charts/api/templates/a.tpl")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("resources: ['https://example.com/a//b']", "it needs https://example.com/a//b, which is remote"),
        ("resources: [github.com/acme/a//b?ref=c]", "it needs github.com/acme/a//b?ref=c, which is remote"),
        ("resources: ['git@example.com:acme/a.git']", "it needs git@example.com:acme/a.git, which is remote"),
        ("resources: [../../../a]", "it needs ../../../a, which is outside of the repository"),
        ("resources: [/etc/passwd]", "it needs /etc/passwd, which is outside of the repository"),
        ("patches: [{path: gone.yaml}]", "it needs gone.yaml, which is not a file of the repository"),
        ("resources: [gone]", "it needs gone, where the repository has no file and no kustomization"),
        ("helmCharts: [{name: api, repo: 'https://x'}]", "its chart api is not vendored in charts/api"),
        ("helmCharts: [{name: ../api}]", "its chart has a name that cannot be given to helm: '../api'"),
        ("future: [a]", "it has the field future, which is not followed"),
        ("resources: [a\n", "it cannot be read as a kustomization"),
        ("", "it cannot be read as a kustomization"),
    ],
)
def test_what_the_repository_has_not_is_a_problem_and_no_error(text: str, problem: str) -> None:
    found = closure({TOP: text})
    assert [str(one) for one in found.reach.problems] == [f"{TOP}: {problem}"]


def test_kustomizations_that_others_build_are_no_roots() -> None:
    everything = Environment("all", (".",))
    files = {
        "base/kustomization.yaml": "resources: [../circle/a]\n",
        "pin/kustomization.yaml": "kind: Component\n",
        "a/kustomization.yaml": "resources: [../base]\n",
        "b/kustomization.yaml": "resources: [../base]\n",
        "circle/a/kustomization.yaml": "resources: [../b]\n",
        "circle/b/kustomization.yaml": "resources: [../a]\n",
        "plain/a.yaml": DEPLOYMENT,
        ".promoter.yaml": "version: 1\n",
        ".promoter/holds/a/b": "by: x\n",
    }
    found = closure(files, everything)
    assert list(found.roots) == ["a", "b"]
    assert found.plain == {"plain/a.yaml"}
    assert not [path for path in found.reach.came if path.startswith(".promoter")]


def test_charts_that_nobody_names_are_roots_with_their_own_values() -> None:
    files = {
        "envs/production/shop/Chart.yaml": CHART.replace("api", "shop"),
        "envs/production/shop/values.yaml": "a: b\n",
        "envs/production/shop/charts/redis/Chart.yaml": CHART,
        "envs/production/common/Chart.yaml": CHART + "type: library\n",
        "envs/production/part/Chart.yaml": CHART,
        "envs/production/whole/Chart.yaml": (
            CHART + "dependencies: [{name: api, version: '1', repository: 'file://../part'}]\n"
        ),
        "envs/production/configured/Chart.yaml": CHART,
    }
    charts = (HelmChart("envs/production/configured", "web", ("gone.yaml",), "shop"),)
    found = closure(files, Environment("production", ("envs/production",), helm=charts))
    assert sorted(found.roots) == [
        "envs/production/configured as shop/web",
        "envs/production/shop as shop",
        "envs/production/whole as api",
    ]
    configured = found.roots["envs/production/configured as shop/web"]
    assert configured.problem == "its values gone.yaml are not a file of the repository"
    assert chains(found)["envs/production/part/Chart.yaml"][0] == "envs/production/part/Chart.yaml"


def test_objects_of_agents_are_followed_only_where_that_is_asked() -> None:
    files = {
        "envs/production/app.yaml": (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec: {source: {path: apps/x}}\n"
        ),
        "apps/x/kustomization.yaml": "resources: [x.yaml]\n",
        "apps/x/x.yaml": DEPLOYMENT,
    }
    way = ("envs/production/app.yaml", "apps/x/kustomization.yaml", "apps/x/x.yaml")
    assert chains(closure(files))["apps/x/x.yaml"] == way
    assert set(closure(files, deep=False).reach.came) == {"envs/production/app.yaml"}


def test_a_crafted_tree_names_nothing_outside() -> None:
    files = {"envs/production/../../../x.yaml": DEPLOYMENT, "envs/production/.git/config": "x: y\n"}
    assert set(closure(files).reach.came) == set()


def test_a_commit_is_read_in_batches(tmp_path: Path) -> None:
    files = {TOP: "resources: [../../base]\n", "base/kustomization.yaml": "resources: [x.yaml]\n"}
    files |= {"base/x.yaml": DEPLOYMENT}
    origin = repos.make_repo(tmp_path / "origin.git", files)
    bare = tmp_path / "bare"
    bare.mkdir()
    said: list[str] = []
    environment = child_environment({"PATH": repos.clean_env()["PATH"]}, {})
    git = Git(bare, environment, Deadline(60), said.append)
    remote = Remote(f"file://{origin}")
    repository = Repository(git, tmp_path, remote, said.append, lambda url: url)
    tree = SnapshotTree(repository, repository.open(None))
    assert sorted(tree.paths()) == sorted(files)
    found, look = close(tree, [PRODUCTION], lambda _: True)
    assert set(found["production"].reach.came) == set(files)
    assert look.contents[TOP] == files[TOP].encode()
    edited = EditedTree(tree, {"base/x.yaml": None, "base/y.yaml": b"a"})
    assert sorted(edited.paths()) == sorted({*files, "base/y.yaml"} - {"base/x.yaml"})
    assert edited.read(["base/x.yaml", "base/y.yaml", TOP]) == {
        "base/y.yaml": b"a",
        TOP: files[TOP].encode(),
    }
    fetches = [line for line in said if line.startswith("git ") and " fetch " in line.partition(" -> ")[0]]
    assert len(fetches) <= 2, "one batch for the kustomizations, one for the manifests"
