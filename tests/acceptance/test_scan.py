"""`promoter scan` tells every site of an image apart, and `bump` moves exactly the effective ones."""

from pathlib import Path

import jsonschema
import pytest

from promoter.schema_files import read_schema
from tests.acceptance.conftest import Bench
from tests.support import repos
from tests.support.cli import Result, run_promoter

LAYOUTS = Path(__file__).parents[1] / "layouts"


def _deployment(name: str, *images: str, more: str = "") -> str:
    containers = "".join(
        f"        - name: c{n}\n          image: {image}\n" for n, image in enumerate(images)
    )
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n"
        f"spec:\n  template:\n    spec:\n      containers:\n{containers}{more}"
    )


# One repository path in every role that it may have.
ENVIRONMENT: dict[str, repos.Content] = {
    "envs/staging/active.yaml": _deployment("api", "ghcr.io/acme/api:1.4.2"),
    "envs/staging/kustomized/kustomization.yaml": (
        "resources: [api.yaml]\nimages:\n  - name: ghcr.io/acme/api\n    newTag: 1.4.2\n"
    ),
    "envs/staging/kustomized/api.yaml": _deployment("api", "ghcr.io/acme/api:1.0.0"),
    "envs/staging/commented.yaml": _deployment(
        "web", "ghcr.io/acme/web:2.0.0", more="        # - image: ghcr.io/acme/api:1.4.2\n"
    ),
    "envs/staging/encrypted.yaml": (
        "image: ghcr.io/acme/api:1.4.2\npassword: ENC[AES256_GCM,data:cXU=,iv:Zm9v,tag:YmFy,type:str]\n"
        "sops:\n  mac: ENC[AES256_GCM,data:bWFj,iv:Zm9v,tag:YmFy,type:str]\n  version: 3.9.4\n"
    ),
    "envs/staging/vendor/upstream.yaml": _deployment("upstream", "ghcr.io/acme/api:1.4.2"),
    "envs/staging/canary.yaml": _deployment("canary", "ghcr.io/acme/api:1.5.0-canary"),
    "envs/staging/alike.yaml": _deployment(
        "alike",
        "ghcr.io/acme/api-worker:1.4.2",
        "ghcr.io/xacme/api:1.4.2",
        "other.host/acme/api:1.4.2",
    ),
    "envs/staging/arguments.yaml": "args: ['--image=ghcr.io/acme/api:1.4.2']\n",
    "envs/staging/broken.yaml": "image: ghcr.io/acme/api:1.4.2\n\t- [\n",
    "envs/staging/templates/api.yaml": "spec:\n  image: ghcr.io/acme/api:{{ .Values.tag }}\n",
    "links.yaml": "source: https://ghcr.io/acme/api\npath: apps/acme/api\n",
}


def _write(root: Path, files: dict[str, repos.Content]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else bytes(content))
    return root


def _scan(*args: str, **settings: object) -> Result:
    result = run_promoter("scan", *args, "--output", "json", **settings)  # type: ignore[arg-type]  # passed on
    assert result.code == 0, result
    jsonschema.validate(result.document, read_schema("outcome"))
    return result


def _short(one: dict[str, object]) -> str:
    return f"{one['file']}:{one['line']}".removeprefix("envs/staging/")


def test_scan_tells_the_roles_of_one_path_apart(tmp_path: Path) -> None:
    document = _scan(str(_write(tmp_path, ENVIRONMENT))).document
    assert (document["verb"], document["status"], document["reason"]) == ("scan", "unchanged", "scanned")
    ours = [site for site in document["sites"] if site["image"] == "ghcr.io/acme/api"]
    told = {_short(site): (site["state"], site["tag"], site["note"]) for site in ours}
    assert told == {
        "active.yaml:10": ("effective", "1.4.2", ""),
        "kustomized/kustomization.yaml:4": ("effective", "1.4.2", ""),
        "kustomized/api.yaml:10": (
            "shadowed",
            "1.0.0",
            "by envs/staging/kustomized/kustomization.yaml:3",
        ),
        "encrypted.yaml:1": (
            "refused",
            "1.4.2",
            "SOPS has signed this file: its MAC covers this value; edit with sops",
        ),
        "vendor/upstream.yaml:10": ("effective", "1.4.2", ""),
        "canary.yaml:10": ("effective", "1.5.0-canary", ""),
    }
    others = {site["image"] for site in document["sites"]} - {"ghcr.io/acme/api"}
    alike = {"ghcr.io/acme/api-worker", "ghcr.io/xacme/api", "other.host/acme/api"}
    assert others == {"ghcr.io/acme/web", *alike}
    assert {_short(one): one["why"] for one in document["mentions"]} == {
        "arguments.yaml:1": "not under a key that speaks of an image: --match anywhere edits it",
        "broken.yaml:1": "the file cannot be read: found a tab character that violates indentation (line 2)",
        "commented.yaml:11": "in a comment",
        "templates/api.yaml:2": "built from a template action",
    }
    assert document["summary"] == {
        "files": 12,
        "images": 5,
        "effective": 8,
        "shadowed": 1,
        "refused": 1,
        "mentions": 4,
    }


def test_bump_changes_exactly_the_effective_sites(bench: Bench) -> None:
    repo = bench.make(ENVIRONMENT)
    before = bench.tip
    result = bench.bump(
        "--path", "envs/staging", "--image", "ghcr.io/acme/api:1.4.3", "--exclude", "envs/staging/vendor"
    )
    assert (result.code, result.document["status"]) == (0, "promoted"), result
    changes = {_short(one): one["status"] for one in result.document["changes"]}
    assert changes == {
        "active.yaml:10": "promoted",
        "kustomized/kustomization.yaml:4": "promoted",
        "kustomized/api.yaml:10": "shadowed",
        "encrypted.yaml:1": "refused",
        "canary.yaml:10": "left",
    }
    changed = repos.git(repo, "diff", "--name-only", str(before), "main").split()
    assert changed == ["envs/staging/active.yaml", "envs/staging/kustomized/kustomization.yaml"]


def test_the_base_commit_is_scanned_as_a_directory_is(bench: Bench, tmp_path: Path) -> None:
    bench.make(ENVIRONMENT)
    here = _scan(str(_write(tmp_path / "files", ENVIRONMENT))).document
    there = _scan("--manifest-repo", bench.address, "--base", "main").document
    assert (here["base"], there["base"]) == (None, "main")
    for key in ("sites", "mentions", "summary"):
        assert there[key] == here[key]
    env = {"PROMOTER_MANIFEST_REPO": bench.address}
    assert _scan(env=env).document["summary"] == there["summary"]
    assert _scan(str(tmp_path / "files" / "links.yaml"), env=env).document["summary"]["files"] == 1


def test_links_are_not_followed_and_git_is_left(tmp_path: Path) -> None:
    root = _write(tmp_path / "root", {"a.yaml": "image: ghcr.io/acme/api:1.4.2\n"})
    _write(tmp_path, {"outside/b.yaml": "image: b:1\n", "root/.git/c.yaml": "image: c:1\n"})
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "d.yaml").symlink_to(tmp_path / "outside" / "b.yaml")
    assert [site["file"] for site in _scan(cwd=root).document["sites"]] == ["a.yaml"]
    assert _scan(".", "--exclude", "a.*", cwd=root).document["sites"] == []


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nowhere",), "nowhere: no such file or directory"),
        ((".", "--manifest-repo", "x.git"), "PATH and --manifest-repo exclude each other"),
        ((".", "--base", "main"), "--base goes with --manifest-repo"),
        (("--manifest-repo", "x.git", "--base", "a..b"), "is no branch name"),
    ],
)
def test_wrong_arguments_are_usage_errors(args: tuple[str, ...], says: str, tmp_path: Path) -> None:
    result = run_promoter("scan", *args, cwd=tmp_path)
    assert result.code == 2, result
    assert says in result.stderr
    assert "next: " in result.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in LAYOUTS.iterdir()))
def test_public_layouts(name: str) -> None:
    """`expected.txt` is what `promoter scan files` prints there."""
    result = run_promoter("scan", "files", cwd=LAYOUTS / name)
    assert result.stderr == ""
    assert result.stdout == (LAYOUTS / name / "expected.txt").read_text(encoding="utf-8")
