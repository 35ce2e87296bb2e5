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


def _told(files: dict[str, repos.Content], root: Path) -> dict[str, tuple[str, str, str]]:
    """What scan says of the files: place -> (state, format and reference, note)."""
    sites = _scan(str(_write(root, files))).document["sites"]
    return {
        f"{site['file']}:{site['line']}": (
            site["state"],
            f"{site['format']} {site['reference']}",
            site["note"],
        )
        for site in sites
    }


TARGETS: dict[str, repos.Content] = {
    ".promoter.yaml": (
        "version: 1\nenvironments:\n  staging: {path: envs/staging}\n  production: {path: envs/production}\n"
        "apps:\n  api: {images: [ghcr.io/acme/api]}\n"
        "targets:\n"
        '  - {file: "tags/{environment}/{app}", tag: image_tag, image: "ghcr.io/acme/{app}"}\n'
        '  - {file: "envs/{environment}/v.yaml", tag: "apps[name={app}].v", image: "ghcr.io/acme/{app}"}\n'
        "  - {file: envs/staging/one.txt, reference: pull.image, image: ghcr.io/acme/one}\n"
    ),
    "tags/staging/api": "image_tag: 1.4.2\n",
    "tags/production/api": "image_tag: 1.4.1\n",
    "tags/elsewhere/api": "image_tag: 1.4.0\n",
    "envs/staging/v.yaml": "apps:\n- {name: web, v: 2.0.0}\n- {name: worker, v: 3.0.0}\n",
    "envs/staging/one.txt": "pull: {image: ghcr.io/acme/one:1}\n",
    "notes.txt": "image: ghcr.io/acme/api:1.4.2\n",
}
TOLD_OF_TARGETS = {
    "tags/staging/api:1": ("effective", "target ghcr.io/acme/api:1.4.2", ""),
    "tags/production/api:1": ("effective", "target ghcr.io/acme/api:1.4.1", ""),
    "envs/staging/v.yaml:2": ("effective", "target ghcr.io/acme/web:2.0.0", ""),
    "envs/staging/v.yaml:3": ("effective", "target ghcr.io/acme/worker:3.0.0", ""),
    "envs/staging/one.txt:1": ("effective", "target ghcr.io/acme/one:1", ""),
}


def test_the_sites_of_configured_targets_are_listed(bench: Bench, tmp_path: Path) -> None:
    assert _told(TARGETS, tmp_path) == TOLD_OF_TARGETS
    here = _scan(str(tmp_path)).document
    assert here["summary"]["files"] == 4
    bench.make(TARGETS)
    assert _scan("--manifest-repo", bench.address).document["sites"] == here["sites"]


def test_a_broken_configuration_with_targets_is_told(tmp_path: Path) -> None:
    _write(tmp_path, {".promoter.yaml": "version: 1\ntargets: 3\n"})
    result = run_promoter("scan", cwd=tmp_path)
    assert result.code == 3, result
    assert ".promoter.yaml" in result.stderr


def test_mere_words_under_image_keys_are_no_sites(tmp_path: Path) -> None:
    files: dict[str, repos.Content] = {
        "schema.json": '{"properties": {"image": {"type": "string", "title": "Image"}}}\n',
        "definition.yaml": "spec:\n  schema:\n    image: string\n    baseImage: redis\n",
        "pod.yaml": "kind: Pod\nspec: {containers: [{name: a, image: nginx}]}\n",
        "compose.yaml": "services:\n  web.v1:\n    image: caddy\n",
        "task.yaml": "spec:\n  steps:\n  - {name: build, image: golang}\n  stepTemplate: {image: bash}\n",
        "database.yaml": "spec:\n  image: redis\n---\nspec:\n  image: redis:7\n",
    }
    assert {place: told[1] for place, told in _told(files, tmp_path).items()} == {
        "pod.yaml:2": "container nginx",
        "compose.yaml:3": "image caddy",
        "task.yaml:3": "image golang",
        "task.yaml:4": "image bash",
        "definition.yaml:4": "image redis",  # an image elsewhere
        "database.yaml:2": "image redis",
        "database.yaml:5": "image redis:7",
    }


_APPLIED = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: apps, namespace: flux-system}}
spec:
  path: {path}
"""
_IMAGES = "  images: [{name: ghcr.io/acme/api, newTag: 1.4.2}]\n"
_DEPLOYMENT = "deployment.yaml:10"
_BY_FLUX = ("shadowed", "container ghcr.io/acme/api:1.0.0", "by ks.yaml:6")
_BY_ITSELF = ("effective", "container ghcr.io/acme/api:1.0.0", "")


@pytest.mark.parametrize(
    ("path", "files", "told"),
    [
        ("./apps", {}, _BY_FLUX),
        ("./apps/api", {}, _BY_FLUX),
        ("apps/api/", {}, _BY_FLUX),
        ("'./'", {}, _BY_FLUX),
        ("./app", {}, _BY_ITSELF),
        ("./other", {}, _BY_ITSELF),
        ("./apps", {"apps/api/kustomization.yaml": "resources: [deployment.yaml]\n"}, _BY_FLUX),
        ("./apps", {"apps/api/kustomization.yaml": "resources: []\n"}, _BY_ITSELF),
        ("./apps", {"apps/kustomization.yaml": "resources: [api/deployment.yaml]\n"}, _BY_FLUX),
        ("./apps", {"apps/kustomization.yaml": "resources: []\n"}, _BY_ITSELF),
        ("./top", {"top/kustomization.yaml": "resources: [../apps/api/deployment.yaml]\n"}, _BY_FLUX),
        # As the name leaves it, and where another one builds the same without the entry.
        (
            "./apps",
            {
                "apps/kustomization.yaml": (
                    "resources: [api/deployment.yaml]\n"
                    "images: [{name: ghcr.io/acme/api, newName: mirror.acme.io/api}]\n"
                )
            },
            _BY_FLUX,
        ),
        ("./apps", {"other.yaml": _APPLIED.format(path="./apps/api")}, _BY_ITSELF),
        ("./apps", {"other.yaml": _APPLIED.format(path="./elsewhere")}, _BY_FLUX),
        ("./apps", {"top/kustomization.yaml": "resources: [../apps/api/deployment.yaml]\n"}, _BY_ITSELF),
    ],
)
def test_flux_images_shadow_what_the_path_builds(
    path: str, files: dict[str, repos.Content], told: tuple[str, str, str], tmp_path: Path
) -> None:
    everything = {
        "ks.yaml": _APPLIED.format(path=path) + _IMAGES,
        "apps/api/deployment.yaml": _deployment("api", "ghcr.io/acme/api:1.0.0"),
        **files,
    }
    found = _told(everything, tmp_path)
    assert found[f"apps/api/{_DEPLOYMENT}"] == told
    assert found["ks.yaml:6"] == ("effective", "flux ghcr.io/acme/api:1.4.2", "")


def test_flux_images_take_the_place_of_entries(tmp_path: Path) -> None:
    """As its generator does: those of one name as a whole, others run behind them."""
    entries = (
        "[{name: api, newName: ghcr.io/acme/api, newTag: 1.0.0}, {name: ghcr.io/acme/web, newTag: 2.0.0}]"
    )
    files: dict[str, repos.Content] = {
        "ks.yaml": _APPLIED.format(path="./apps") + "  images:\n  - {name: api, newTag: 1.4.2}\n"
        "  - {name: api, newName: ghcr.io/acme/api, newTag: 1.4.3}\n",
        "apps/kustomization.yaml": f"images: {entries}\n",
    }
    assert _told(files, tmp_path) == {
        "ks.yaml:7": ("shadowed", "flux api:1.4.2", "by ks.yaml:8"),
        "ks.yaml:8": ("effective", "flux ghcr.io/acme/api:1.4.3", ""),
        "apps/kustomization.yaml:1": ("effective", "kustomize ghcr.io/acme/web:2.0.0", ""),
    }
    listed = [site["note"] for site in _scan(str(tmp_path)).document["sites"] if site["tag"] == "1.0.0"]
    assert listed == ["by ks.yaml:8"]


_VARIABLES = "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\ndata: {{api_tag: 1.4.2}}\n"
_FROM = (
    "  postBuild:\n    substituteFrom:\n    - {kind: ConfigMap, name: vars}\n"
    "    - {kind: Secret, name: hidden}\n    - {kind: ConfigMap, name: late, optional: true}\n"
)


def _config_map(name: str, more: str = "", kind: str = "ConfigMap") -> str:
    return _VARIABLES.format(kind=kind, name=name, more=more)


_VALUE = ("effective", "flux ghcr.io/acme/api:1.4.2", "")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"vars.yaml": _config_map("vars")}, {"vars.yaml:4": _VALUE}),
        ({"vars.yaml": _config_map("vars", ", namespace: flux-system")}, {"vars.yaml:4": _VALUE}),
        ({"vars.yaml": _config_map("vars", ", namespace: other")}, {}),
        ({"vars.yaml": _config_map("other")}, {}),
        ({"vars.yaml": _config_map("hidden", kind="Secret")}, {}),
        # Of several only the one beside the Kustomization can be meant.
        ({"vars.yaml": _config_map("vars"), "b/vars.yaml": _config_map("vars")}, {"vars.yaml:4": _VALUE}),
        ({"a/vars.yaml": _config_map("vars"), "b/vars.yaml": _config_map("vars")}, {}),
        (
            {"vars.yaml": _config_map("vars"), "late.yaml": _config_map("late")},
            {
                "late.yaml:4": _VALUE,
                "vars.yaml:4": ("shadowed", "flux ghcr.io/acme/api:1.4.2", "by late.yaml:4"),
            },
        ),
    ],
)
def test_values_from_config_maps_are_sites(
    files: dict[str, repos.Content], told: dict[str, tuple[str, str, str]], tmp_path: Path
) -> None:
    everything = {
        "ks.yaml": _APPLIED.format(path="./apps") + _FROM,
        "apps/api.yaml": _deployment("api", "ghcr.io/acme/api:${api_tag:=1.0.0}"),
        **files,
    }
    found = _told(everything, tmp_path)
    default = found.pop("apps/api.yaml:10")
    assert found == told
    winning = [place for place, (state, *_) in told.items() if state == "effective"]
    assert default[0] == ("shadowed" if winning else "effective")
    assert default[2] == (f"by {winning[0]}" if winning else "")


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
