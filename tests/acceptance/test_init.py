"""``init``: what it writes is read by promoter itself, and bumps find the images that it counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from promoter import __version__
from promoter.config import parse_config
from promoter.paths import matches_any
from promoter.schema_files import read_schema
from tests.support import repos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.acceptance.conftest import Bench
    from tests.support.cli import Result

LAYOUTS = Path(__file__).parents[1] / "layouts"
CONFIG = ".promoter.yaml"


def kustomization(name: str, tag: str = "1.0.0") -> str:
    return (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"images:\n  - name: ghcr.io/acme/{name}\n    newTag: {tag}\n"
    )


def deployment(name: str, tag: str = "1.0.0") -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{template: {{spec: "
        f'{{containers: [{{name: {name}, image: "ghcr.io/acme/{name}:{tag}"}}]}}}}}}\n'
    )


VALUES = "image:\n  repository: ghcr.io/acme/api\n  tag: 1.0.0\n"
TAG = "image:\n  tag: 1.0.0\n"

# What stands there, and the environments that are found: their paths, which they follow, images.
Found = list[tuple[str, list[str], str | None, int]]
LINES: dict[str, tuple[dict[str, str], Found]] = {
    "envs": (
        {
            f"envs/{name}/kustomization.yaml": kustomization("api")
            for name in ("production", "dev", "staging", "qa")
        },
        [
            ("dev", ["envs/dev"], None, 1),
            ("qa", ["envs/qa"], "dev", 1),
            ("staging", ["envs/staging"], "qa", 1),
            ("production", ["envs/production"], "staging", 1),
        ],
    ),
    "overlays with a base": (
        {
            "base/deployment.yaml": deployment("api"),
            "base/kustomization.yaml": "resources: [deployment.yaml]\n",
            "overlays/uat/kustomization.yaml": "resources: [../../base]\n" + kustomization("api"),
            "overlays/prod/kustomization.yaml": "resources: [../../base]\n" + kustomization("api"),
        },
        [("uat", ["overlays/uat"], None, 1), ("prod", ["overlays/prod"], "uat", 1)],
    ),
    "overlays of several apps": (
        {
            f"apps/{app}/overlays/{name}/kustomization.yaml": kustomization(app)
            for app in ("api", "web")
            for name in ("staging", "production")
        },
        [
            ("staging", ["apps/*/overlays/staging"], None, 2),
            ("production", ["apps/*/overlays/production"], "staging", 2),
        ],
    ),
    "environments of one app": (
        {f"apps/api/envs/{name}/api.yaml": deployment("api") for name in ("test", "live")},
        [("test", ["apps/api/envs/test"], None, 1), ("live", ["apps/api/envs/live"], "test", 1)],
    ),
    "regions": (
        {
            f"clusters/{name}/api.yaml": deployment("api")
            for name in ("staging-eu", "staging-us", "prod-eu", "prod-us", "homelab")
        },
        [
            ("staging-eu", ["clusters/staging-eu"], None, 1),
            ("staging-us", ["clusters/staging-us"], None, 1),
            ("prod-eu", ["clusters/prod-eu"], "staging-eu", 1),
            ("prod-us", ["clusters/prod-us"], "staging-us", 1),
            ("homelab", ["clusters/homelab"], None, 1),
        ],
    ),
    "regions below": (
        {f"clusters/eu/{name}/api.yaml": deployment("api") for name in ("staging", "production")},
        [
            ("eu-staging", ["clusters/eu/staging"], None, 1),
            ("eu-production", ["clusters/eu/production"], "eu-staging", 1),
        ],
    ),
    "a region after its stage": (
        {
            f"environments/{name}/a.yaml": deployment("api")
            for name in ("stage", "production", "production-eu")
        },
        [
            ("stage", ["environments/stage"], None, 1),
            ("production", ["environments/production"], "stage", 1),
            ("production-eu", ["environments/production-eu"], "production", 1),
        ],
    ),
    "values files": (
        {
            "Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
            "values.yaml": VALUES,
            "values-staging.yaml": TAG,
            "values-production.yaml": TAG,
            "values-secrets.yaml": "password: x\n",
        },
        [
            ("staging", ["values-staging.yaml"], None, 1),
            ("production", ["values-production.yaml"], "staging", 1),
        ],
    ),
    "values files of several charts": (
        {
            f"charts/{app}/values{name}.yaml": VALUES.replace("acme/api", f"acme/{app}")
            for app in ("api", "web")
            for name in ("", "-dev", "-prd")
        },
        [("dev", ["charts/*/values-dev.yaml"], None, 2), ("prd", ["charts/*/values-prd.yaml"], "dev", 2)],
    ),
    "a directory of values": (
        {"values/staging.yaml": VALUES, "values/production.yaml": VALUES, "values/common.yaml": "a: 1\n"},
        [
            ("staging", ["values/staging.yaml"], None, 1),
            ("production", ["values/production.yaml"], "staging", 1),
        ],
    ),
    "directories at the root": (
        {f"{name}/values.yaml": VALUES for name in ("staging", "production")},
        [("staging", ["staging"], None, 1), ("production", ["production"], "staging", 1)],
    ),
    "several roots": (
        {
            f"{root}/{name}/a.yaml": deployment(root)
            for root in ("apps", "infrastructure")
            for name in ("staging", "production")
        },
        [
            ("staging", ["apps/staging", "infrastructure/staging"], None, 2),
            ("production", ["apps/production", "infrastructure/production"], "staging", 2),
        ],
    ),
    "tag files whose image is known": (
        {
            "charts/api/values.yaml": VALUES,
            "charts/web/values.yaml": VALUES.replace("acme/api", "acme/web"),
            **{
                f"config/image-tags/{name}/{app}": "# set by CI\nimage_tag: 1.0.0\n"
                for name in ("staging", "production")
                for app in ("api", "web")
            },
        },
        [
            ("staging", ["config/image-tags/staging"], None, 2),
            ("production", ["config/image-tags/production"], "staging", 2),
        ],
    ),
    "tag files of nobody knows what": (
        {f"tags/{name}/api.yaml": 'tag: "1.0.0"\n' for name in ("staging", "production")},
        [("staging", ["tags/staging"], None, 0), ("production", ["tags/production"], "staging", 0)],
    ),
    "words that mean other things": (
        {
            "charts/api/templates/tests/test.yaml": deployment("curl"),
            "test/fixture.yaml": deployment("fixture"),
            "deploy/api.yaml": deployment("api"),
        },
        [("all", ["."], None, 3)],
    ),
    "names that YAML reads otherwise": (
        {f"envs/{name}/a.yaml": deployment("api") for name in ("on", "1.0", "null")},
        [("1.0", ["envs/1.0"], None, 1), ("null", ["envs/null"], None, 1), ("on", ["envs/on"], None, 1)],
    ),
    "capitals": (
        {"envs/Prod/a.yaml": deployment("web"), "charts/values-prod.yaml": VALUES},
        [("prod", ["charts/values-prod.yaml", "envs/Prod"], None, 2)],
    ),
    "what is hidden or vendored": (
        {
            "envs/staging/a.yaml": deployment("api"),
            ".github/environments/production/a.yaml": deployment("x"),
            "vendor/envs/production/a.yaml": deployment("y"),
        },
        [("staging", ["envs/staging"], None, 1)],
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "deploy"
    root.mkdir()
    return root


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def init(bench: Bench, *args: str, code: int = 0, **settings: Any) -> Any:
    result = bench.run("init", *args, "--output", "json", **settings)
    assert result.code == code, result
    jsonschema.validate(result.document, read_schema("outcome"))
    return result.document


def files_of(root: Path) -> dict[str, repos.Content]:
    return {
        file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def assert_bumps_find(bench: Bench, root: Path, told: Any) -> None:
    """On a repository with these files and the configuration, one bump per environment and image."""
    files = files_of(root)
    config = parse_config(told["text"], CONFIG, version=__version__)
    assert list(config.environments) == [one["name"] for one in told["environments"]]
    bench.make({**files, CONFIG: told["text"]})
    sites = bench.run("scan", "--manifest-repo", bench.address, "--output", "json").document["sites"]
    for one in told["environments"]:
        environment = config.environments[one["name"]]
        assert (list(environment.paths), environment.after) == (one["paths"], one["after"])
        own = [
            site
            for site in sites
            if site["state"] == "effective" and matches_any(site["file"], environment.paths)
        ]
        assert len({site["image"] for site in own}) == one["images"]
        for site in {site["image"]: site for site in own}.values():
            run = bench.bump("--env", one["name"], "--image", site["reference"], "--dry-run")
            assert run.code == 0, run
            same = {(two["file"], two["line"]) for two in own if two["image"] == site["image"]}
            assert same <= {(change["file"], change["line"]) for change in run.document["changes"]}


@pytest.mark.parametrize("name", sorted(path.name for path in LAYOUTS.iterdir()))
def test_public_layouts(bench: Bench, folder: Path, name: str) -> None:
    root = LAYOUTS / name / "files"
    write(folder, {path: bytes(content).decode() for path, content in files_of(root).items()})  # type: ignore[arg-type]  # bytes
    told = init(bench, str(folder), "--dry-run")["configuration"]
    assert not (folder / CONFIG).exists()
    assert sum(one["images"] for one in told["environments"]) > 0
    assert_bumps_find(bench, folder, told)


@pytest.mark.parametrize("name", LINES)
def test_layouts(bench: Bench, folder: Path, name: str) -> None:
    files, expected = LINES[name]
    told = init(bench, str(write(folder, files)), "--dry-run")["configuration"]
    found = [(one["name"], one["paths"], one["after"], one["images"]) for one in told["environments"]]
    assert found == expected
    assert_bumps_find(bench, folder, told)


ENVS = LINES["envs"][0]


def test_production_asks_first(bench: Bench, folder: Path) -> None:
    told = init(bench, str(write(folder, ENVS)))
    assert (told["status"], told["reason"], told["changed"]) == ("unchanged", "written", False)
    text = (folder / CONFIG).read_text()
    assert text == told["configuration"]["text"]
    config = parse_config(text, CONFIG, version=__version__)
    assert {name: one.publish for name, one in config.environments.items()} == {
        "dev": "push",
        "qa": "push",
        "staging": "push",
        "production": "pull-request",
    }
    assert text.count("# proposed") == 4


def test_a_dry_run_prints_the_file_and_nothing_else(bench: Bench, folder: Path) -> None:
    write(folder, ENVS)
    shown = bench.run("init", str(folder), "--dry-run")
    assert shown.stderr == ""
    assert not (folder / CONFIG).exists()
    assert bench.run("init", cwd=folder).stdout.startswith("written .promoter.yaml\n")
    assert (folder / CONFIG).read_text() == shown.stdout


def test_nothing_is_overwritten(bench: Bench, folder: Path) -> None:
    write(folder, {**ENVS, CONFIG: "mine\n"})
    refused = init(bench, str(folder), code=3)
    assert (refused["reason"], refused["error"]["file"]) == ("config-exists", str(folder / CONFIG))
    assert (folder / CONFIG).read_text() == "mine\n"
    assert init(bench, str(folder), "--dry-run")["status"] == "planned"
    (folder / CONFIG).unlink()
    (folder / CONFIG).symlink_to("elsewhere")
    assert init(bench, str(folder), code=3)["reason"] == "config-exists"
    assert not (folder / "elsewhere").exists()


def test_nothing_found(bench: Bench, folder: Path) -> None:
    write(folder, {"README.md": "x\n", "envs/staging/config.yaml": "a: 1\n"})
    told = init(bench, str(folder), code=3)
    assert told["reason"] == "nothing-found"
    assert re.search(r"envs/\*.*values-staging", told["error"]["next"])


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nowhere"], 2, "no such directory"),
        (["deploy/envs"], 2, "inside the repository"),
        (["deploy", "--manifest-repo", "x"], 2, "exclude"),
        (["deploy", "--base", "main"], 2, "--base"),
        (["deploy", "--publish", "push"], 2, "--publish"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_refused(bench: Bench, folder: Path, args: list[str], code: int, says: str) -> None:
    repos.git(write(folder, ENVS), "init", "--quiet", ".")
    error = init(bench, *args, code=code, cwd=folder.parent)["error"]
    assert says in error["message"]
    assert error["next"]


def test_a_variable_of_ci_gives_way_to_a_path(bench: Bench, folder: Path) -> None:
    env = {"PROMOTER_MANIFEST_REPO": bench.address}
    init(bench, str(write(folder, ENVS)), env=env)
    assert (folder / CONFIG).exists()
    assert CONFIG not in repos.git(bench.repo, "ls-tree", "--name-only", "main").split()


# --- on a manifest repository ----------------------------------------------------------------


def landed(bench: Bench, *args: str, code: int = 0) -> Any:
    return init(bench, "--manifest-repo", bench.address, *args, code=code)


def test_it_lands_like_any_change(bench: Bench) -> None:
    bench.make(dict(ENVS))
    planned = landed(bench, "--dry-run")
    told = landed(bench)
    assert (told["status"], told["commit_sha"]) == ("promoted", bench.tip)
    assert planned["configuration"] == told["configuration"]
    assert repos.read_file(bench.repo, CONFIG).decode() == told["configuration"]["text"]
    commit = repos.log(bench.repo)[0]
    assert set(commit.trailers) == {"Promoter-Id"}
    assert len(repos.log(bench.repo)) == 2
    again = landed(bench, code=3)
    assert (again["reason"], again["error"]["file"]) == ("config-exists", CONFIG)
    repos.fsck(bench.repo)
    found = bench.bump("--env", "staging", "--image", "ghcr.io/acme/api:1.0.0")
    assert (found.document["status"], found.document["reason"]) == ("unchanged", "equal")


def test_it_is_proposed_once(bench: Bench) -> None:
    bench.make(dict(ENVS))
    tip = bench.tip
    first = landed(bench, "--publish", "pull-request")
    assert (first["status"], [one["operation"] for one in first["pull_requests"]]) == (
        "proposed",
        ["created"],
    )
    again = landed(bench, "--publish", "pull-request")
    assert (again["commit_sha"], [one["operation"] for one in again["pull_requests"]]) == (
        first["commit_sha"],
        ["unchanged"],
    )
    assert bench.tip == tip
    branch = first["pull_requests"][0]["branch"]
    repos.commit_files(bench.repo, {"envs/sandbox/a.yaml": deployment("api")}, "Another environment")
    more = landed(bench, "--publish", "pull-request")
    assert [one["operation"] for one in more["pull_requests"]] == ["updated"]
    assert "sandbox" in repos.read_file(bench.repo, CONFIG, branch).decode()


def test_for_people(bench: Bench) -> None:
    bench.make(dict(ENVS))
    text: Result = bench.run("init", "--manifest-repo", bench.address)
    assert text.stdout.startswith("written as ")
    assert "production: 1 image in envs/production, after staging, by pull-request" in text.stdout
