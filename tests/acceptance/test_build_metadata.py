"""Images by what the build wrote about them: docker buildx build and bake, and Docker's actions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import manifests, repos
from tests.support.cli import run_promoter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Result

SHA = "a9ba846486420e07d30db1107411ac3697ecab68"
DIGEST = "sha256:" + "19ff" * 16
OTHER = "sha256:" + "6d9a" * 16
CONFIG = "sha256:" + "2937" * 16
API = "ghcr.io/acme/api"
WEB = "ghcr.io/acme/web"

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      containers:
        - name: {app}
          image: ghcr.io/acme/{app}:1.0.0@sha256:{digest}
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    files = {
        f"envs/staging/{app}.yaml": MANIFEST.format(app=app, digest="0" * 64) for app in ("api", "web", "db")
    }
    return repos.make_repo(tmp_path / "deploy.git", files)


def build(names: str, digest: str = DIGEST, **more: Any) -> dict[str, Any]:
    """One image, as docs.docker.com shows `docker buildx build --metadata-file`."""
    return {
        "buildx.build.provenance": {},
        "buildx.build.ref": "mybuilder/mybuilder0/0fjb6ubs52xx3vygf6fgdl611",
        "containerimage.config.digest": CONFIG,
        "containerimage.descriptor": {
            "annotations": {"org.opencontainers.image.created": "2022-02-08T21:28:03Z"},
            "digest": digest,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 506,
        },
        "containerimage.digest": digest,
        "image.name": names,
        **more,
    }


def bump(repo: Path, tmp_path: Path, metadata: object, *more: str, **settings: Any) -> Result:
    """A bump by a file, told as JSON; a text or bytes are the file as it is."""
    file = tmp_path / "metadata.json"
    data = metadata if isinstance(metadata, (str, bytes)) else json.dumps(metadata)
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    where = ("--manifest-repo", str(repo), "--path", manifests.FOLDER, "--output", "json")
    return run_promoter("bump", *where, "--build-metadata", str(file), *more, **settings)


def landed(result: Result) -> list[str]:
    """The references that a bump wrote."""
    assert (result.code, manifests.status(result)) == (0, "promoted"), result
    return [change["after"] for change in result.document["changes"]]


def refused(result: Result, says: str) -> dict[str, Any]:
    """The error of a usage that is wrong, with the file it is about and a next step."""
    assert (result.code, result.document["error"]["exit"]) == (2, 2), result
    error: dict[str, Any] = result.document["error"]
    assert says in error["message"], error
    assert error["file"].endswith("metadata.json")
    assert error["next"]
    assert "Traceback" not in result.stderr
    return error


# --- what is read


def test_build(repo: Path, tmp_path: Path) -> None:
    assert landed(bump(repo, tmp_path, build(f"{API}:1.1.0"))) == [f"{API}:1.1.0@{DIGEST}"]


def test_push_by_digest_has_no_tag(repo: Path, tmp_path: Path) -> None:
    worker = MANIFEST.format(app="worker", digest="0" * 64).replace(":1.0.0@", "@")
    repos.commit_files(repo, {"envs/staging/worker.yaml": worker}, "Digests alone")
    result = bump(repo, tmp_path, build("ghcr.io/acme/worker"))
    assert landed(result) == [f"ghcr.io/acme/worker@{DIGEST}"]


def test_bake_has_a_target_for_each_image(repo: Path, tmp_path: Path) -> None:
    bake = {
        "buildx.build.warnings": {},
        "api": build(f"{API}:1.1.0"),
        "web": build(f"{WEB}:1.2.0", OTHER),
        "test": {key: value for key, value in build("").items() if key == "buildx.build.ref"},
    }
    assert landed(bump(repo, tmp_path, bake)) == [f"{API}:1.1.0@{DIGEST}", f"{WEB}:1.2.0@{OTHER}"]


def test_metadata_action_has_tags_without_a_digest(repo: Path, tmp_path: Path) -> None:
    action = {
        "tags": [f"{API}:1.1.0", f"{API}:1.1", f"{API}:latest"],
        "labels": {"org.opencontainers.image.revision": SHA},
    }
    result = bump(repo, tmp_path, action, "--drop-digest")
    assert landed(result) == [f"{API}:1.1.0"]


def test_standard_input_and_variable(repo: Path, tmp_path: Path) -> None:
    file = tmp_path / "given.json"
    file.write_text(json.dumps(build(f"{API}:1.1.0")))
    args = ("bump", "--manifest-repo", str(repo), "--path", manifests.FOLDER, "--output", "json")
    with file.open() as stdin:
        assert landed(run_promoter(*args, "--build-metadata", "-", stdin=stdin)) == [f"{API}:1.1.0@{DIGEST}"]
    file.write_text(json.dumps(build(f"{API}:1.2.0", OTHER)))
    result = run_promoter(*args, env={"PROMOTER_BUILD_METADATA": str(file)})
    assert landed(result) == [f"{API}:1.2.0@{OTHER}"]


def test_names_are_all_taken(repo: Path, tmp_path: Path) -> None:
    """Two registries are two images; the environment uses one of them."""
    both = build(f"docker.io/acme/api:1.1.0,{API}:1.1.0")
    assert bump(repo, tmp_path, both).code == 4
    assert landed(bump(repo, tmp_path, both, "--missing", "skip")) == [f"{API}:1.1.0@{DIGEST}"]


# --- which tag

TAGS = [
    ("latest,main,1,1.4,1.4.2", "1.4.2"),
    ("v1.4.2-rc.1,v1.4,latest", "v1.4.2-rc.1"),
    ("1.4.2,1.4.3", "1.4.2"),  # of equals the first
    ("main,sha-90dd603,latest", "sha-90dd603"),
    ("1.4,sha-90dd603", "sha-90dd603"),
    ("1,edge,1.4", "1.4"),
    ("main,main-42", "main-42"),
    ("nightly,20260301", "20260301"),
    ("latest,main", "main"),
    ("latest", "latest"),
]


@pytest.mark.parametrize(("tags", "best"), TAGS)
def test_the_tag_that_moves_least(repo: Path, tmp_path: Path, tags: str, best: str) -> None:
    names = ",".join(f"{API}:{tag}" for tag in tags.split(","))
    result = bump(repo, tmp_path, build(names), "--dry-run")
    assert [change["after"] for change in result.document["changes"]] == [f"{API}:{best}@{DIGEST}"]


def test_image_picks_a_name(repo: Path, tmp_path: Path) -> None:
    bake = {"api": build(f"{API}:1.1.0,{API}:latest"), "web": build(f"{WEB}:1.2.0", OTHER)}
    assert landed(bump(repo, tmp_path, bake, "--image", WEB)) == [f"{WEB}:1.2.0@{OTHER}"]
    assert landed(bump(repo, tmp_path, bake, "--image", API)) == [f"{API}:1.1.0@{DIGEST}"]


def test_image_picks_a_tag(repo: Path, tmp_path: Path) -> None:
    names = build(f"{API}:1.1.0,{API}:main-42")
    assert landed(bump(repo, tmp_path, names, "--image", f"{API}:main-42")) == [f"{API}:main-42@{DIGEST}"]


@pytest.mark.parametrize("image", ["ghcr.io/acme/db", f"{API}:9", f"{API}@{OTHER}"])
def test_an_image_of_another_build(repo: Path, tmp_path: Path, image: str) -> None:
    error = refused(bump(repo, tmp_path, build(f"{API}:1.1.0"), "--image", image), f"--image {image}")
    assert f"{API}:1.1.0" in error["message"]


def test_two_builds_of_one_image(repo: Path, tmp_path: Path) -> None:
    bake = {"api": build(f"{API}:1.1.0"), "alpine": build(f"{API}:1.1.0-alpine", OTHER)}
    assert "--image" in refused(bump(repo, tmp_path, bake), "two builds")["next"]
    chosen = bump(repo, tmp_path, bake, "--image", f"{API}:1.1.0-alpine")
    assert landed(chosen) == [f"{API}:1.1.0-alpine@{OTHER}"]


def test_a_lone_tag_beside_it(repo: Path, tmp_path: Path) -> None:
    result = bump(repo, tmp_path, build(f"{API}:1.1.0"), "--app", "api", "--tag", "2")
    assert (result.code, "--build-metadata" in result.document["error"]["message"]) == (2, True)


# --- the revision

VCS = {"vcs": {"revision": SHA, "source": "git@github.com:acme/api.git"}}
SLSA_02: dict[str, Any] = {"metadata": {"https://mobyproject.org/buildkit@v1#metadata": VCS}}
SLSA_1: dict[str, Any] = {"runDetails": {"metadata": {"buildkit_metadata": VCS}}}
LABELLED: dict[str, Any] = {
    "invocation": {"parameters": {"args": {"label:org.opencontainers.image.revision": SHA}}}
}
DIRTY: dict[str, Any] = {
    "runDetails": {"metadata": {"buildkit_metadata": {"vcs": {"revision": f"{SHA}-dirty"}}}}
}
REVISIONS: dict[str, tuple[dict[str, Any], str | None]] = {
    "SLSA 0.2": ({"buildx.build.provenance": SLSA_02}, SHA),
    "SLSA 1": ({"buildx.build.provenance": SLSA_1}, SHA),
    "label": ({"buildx.build.provenance": LABELLED}, SHA),
    "by platform": (
        {"buildx.build.provenance/linux/amd64": SLSA_02, "buildx.build.provenance/linux/arm64": SLSA_02},
        None,  # beside the empty one of `build`
    ),
    "annotation": (
        {"containerimage.descriptor": {"annotations": {"org.opencontainers.image.revision": SHA}}},
        SHA,
    ),
    "with changes": ({"buildx.build.provenance": DIRTY}, None),
    "none": ({}, None),
    "odd": ({"buildx.build.provenance": [], "containerimage.descriptor": {"annotations": 1}}, None),
}


@pytest.mark.parametrize(("more", "revision"), REVISIONS.values(), ids=REVISIONS)
def test_source_revision(repo: Path, tmp_path: Path, more: dict[str, Any], revision: str | None) -> None:
    result = bump(repo, tmp_path, build(f"{API}:1.1.0", **more))
    assert landed(result)
    [commit] = repos.log(repo, "main~1..main")
    assert commit.trailers.get("Promoter-Source", [None]) == [revision]


def test_platforms_that_agree(repo: Path, tmp_path: Path) -> None:
    document = build(f"{API}:1.1.0")
    del document["buildx.build.provenance"]
    for platform in ("linux/amd64", "linux/arm64"):
        document[f"buildx.build.provenance/{platform}"] = SLSA_1
    assert landed(bump(repo, tmp_path, document))
    [commit] = repos.log(repo, "main~1..main")
    assert commit.trailers["Promoter-Source"] == [SHA]


def test_who_says_the_revision(repo: Path, tmp_path: Path) -> None:
    """The option, then the file: what was built may be older than what the job runs for."""
    document = build(f"{API}:1.1.0") | {"buildx.build.provenance": SLSA_02}
    env = {"GITLAB_CI": "true", "CI_COMMIT_SHA": "1" * 40, "CI_COMMIT_TIMESTAMP": "2026-03-01T12:30:00Z"}
    assert landed(bump(repo, tmp_path, document, env=env))
    [commit] = repos.log(repo, "main~1..main")
    assert commit.trailers["Promoter-Source"] == [SHA]
    assert "Promoter-Source-Time" not in commit.trailers
    document["image.name"] = f"{API}:1.2.0"
    assert landed(bump(repo, tmp_path, document, "--source", "v1.2.0", env=env))
    [commit] = repos.log(repo, "main~1..main")
    assert commit.trailers["Promoter-Source"] == ["v1.2.0"]


# --- what is none

NOT_PUSHED = build(f"{API}:1.1.0", CONFIG)
WITHOUT_DIGEST = {
    key: value for key, value in build(f"{API}:1.1.0").items() if key != "containerimage.digest"
}
WITHOUT_NAME = {key: value for key, value in build("").items() if key != "image.name"}
WRONG: dict[str, tuple[object, str]] = {
    "not JSON": ("image.name: ghcr.io/acme/api:1\n", "not JSON"),
    "empty": ("", "not JSON"),
    "binary": (b"\x7fELF\xff\xfe\x00", "not JSON"),
    "deep": ('{"a":' * 100_000, "not JSON"),
    "a long number": ('{"image.name": ' + "9" * 5000 + "}", "not JSON"),
    "a list": ([], "image.name and containerimage.digest"),
    "a text": ('"ghcr.io/acme/api:1"', "image.name and containerimage.digest"),
    "another object": ({"name": API}, "image.name and containerimage.digest"),
    "targets of another object": ({"api": {"tags": [API]}}, "image.name and containerimage.digest"),
    "no digest": (WITHOUT_DIGEST, "containerimage.digest is missing"),
    "no digest in a target": ({"api": WITHOUT_DIGEST}, "target 'api': containerimage.digest is missing"),
    "no name": (WITHOUT_NAME, "pushed no image"),
    "no name in any target": ({"api": WITHOUT_NAME, "web": WITHOUT_NAME}, "pushed no image"),
    "loaded only": (NOT_PUSHED, "loaded and not pushed"),
    "digest of another type": (
        build(API) | {"containerimage.digest": 7},
        "containerimage.digest",
    ),
    "digest that is none": (build(f"{API}:1.1.0", "sha256:1"), "is not a digest"),
    "name of another type": (build("") | {"image.name": [API]}, "image.name"),
    "name that is none": (build("ghcr.io/acme/API:1"), "is not an image reference"),
    "name with a command": (build(f"{API}:1\n::error::x"), "is not an image reference"),
    "name with a dash": (build("-ghcr.io/acme/api:1"), "is not an image reference"),
    "blank names": (build(" , "), "names no image"),
    "no tags": ({"tags": [], "labels": {}}, "names no image"),
    "tags of another type": ({"tags": [{"a": 1}]}, "is not an image reference"),
    "tags without one": ({"tags": [API]}, "has no tag"),
    "many names": (build(",".join(f"{API}:{n}" for n in range(2000))), "more than 500"),
}


@pytest.mark.parametrize(("document", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_metadata_of_a_pushed_image(
    repo: Path, tmp_path: Path, document: object, says: str
) -> None:
    refused(bump(repo, tmp_path, document, timeout=30), says)
    assert len(repos.log(repo)) == 1


def test_a_file_that_is_too_big(repo: Path, tmp_path: Path) -> None:
    refused(bump(repo, tmp_path, b" " * (17 * 1024 * 1024)), "more than 16 MiB")


def test_a_file_that_cannot_be_read(repo: Path, tmp_path: Path) -> None:
    where = ("--manifest-repo", str(repo), "--path", manifests.FOLDER, "--output", "json")
    for file in (tmp_path / "absent.json", tmp_path):
        result = run_promoter("bump", *where, "--build-metadata", str(file))
        assert (result.code, result.document["error"]["file"]) == (2, str(file)), result
