"""``--pin`` and ``--require-image`` on the command line: real Git, a real registry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from promoter.schema_files import read_schema
from tests.acceptance.conftest import Bench
from tests.support import repos
from tests.support.cli import Result
from tests.support.registry import PASSWORD, Answer, Registry, auths, basic, docker_config, serving

FILE = "envs/staging/kustomization.yaml"
REVISION = "5f0c6a2b9d1e4c7f8a3b6d9e0c1f2a4b5d6e7f80"
LABELS = {
    "org.opencontainers.image.revision": REVISION,
    "org.opencontainers.image.created": "2026-03-01T12:00:00Z",
}
ENV = ("--env", "staging")


class Promotion:
    """A manifest repository that runs ``image`` in staging, and bumps of it that are always checked."""

    def __init__(self, root: Path, registry: Registry, repository: str) -> None:
        self.registry, self.repository = registry, repository
        self.image = f"{registry.host}/{repository}"
        tmp = root / "tmp"
        tmp.mkdir()
        self.environ = docker_config(root / "docker", auths(registry.host))
        self.bench = Bench(root / "srv", tmp, tmp, "")
        (root / "srv").mkdir()
        self.make()

    def make(self, rules: str = "", tag: str = "1.0.0") -> None:
        old = f"kind: Kustomization\nimages:\n  - name: {self.image}\n    newTag: {tag}\n"
        config = f"version: 1\nenvironments: {{staging: {{path: envs/staging}}}}\n{rules}"
        self.bench.make({FILE: old, ".promoter.yaml": config})

    def bump(self, *args: str, env: Mapping[str, str] | None = None) -> Result:
        result = self.bench.bump(*ENV, *args, env={**self.environ, **(env or {})})
        self.check(result)
        return result

    def refused(self, *args: str, code: int, reason: str, env: Mapping[str, str] | None = None) -> str:
        """The message of a bump that lands nothing."""
        environ = {**self.environ, **(env or {})}
        result = self.bench.refused(*ENV, *args, code=code, says="", reason=reason, env=environ)
        self.check(result)
        return str(result.document["error"]["message"])

    def check(self, result: Result) -> None:
        said = result.stdout + result.stderr
        assert PASSWORD not in said
        assert basic().removeprefix("Basic ") not in said

    @property
    def file(self) -> str:
        return repos.read_file(self.bench.repo, FILE).decode()

    @property
    def trailers(self) -> dict[str, Any]:
        return dict(repos.log(self.bench.repo)[0].trailers)


@pytest.fixture
def promotion(tmp_path: Path, basic_registry: Registry, repository: str) -> Promotion:
    return Promotion(tmp_path, basic_registry, repository)


def test_pin_writes_the_digest_of_the_index(promotion: Promotion) -> None:
    digest = promotion.registry.push_index(promotion.repository, "1.1.0", labels=LABELS)
    result = promotion.bump("--image", f"{promotion.image}:1.1.0", "--pin")
    assert (result.code, result.document["status"]) == (0, "promoted")
    assert f"newTag: 1.1.0@{digest}\n" in promotion.file
    assert promotion.trailers["Promoter-Source"] == [REVISION]
    assert "Promoter-Source-Time" not in promotion.trailers  # the build's time is none of the source's
    again = promotion.bump("--image", f"{promotion.image}:1.1.0", "--pin")
    assert (again.code, again.document["status"]) == (0, "unchanged")


def test_pin_of_a_moved_tag(promotion: Promotion) -> None:
    """The tag is the same; what it names has changed."""
    for version in ("a", "b"):
        digest = promotion.registry.push_index(promotion.repository, "latest", labels={"build": version})
        result = promotion.bump("--image", f"{promotion.image}:latest", "--pin", "--allow-downgrade")
        assert (result.code, result.document["status"]) == (0, "promoted")
        assert digest in promotion.file


def test_the_caller_s_own_revision_counts(promotion: Promotion) -> None:
    promotion.registry.push_index(promotion.repository, "1.1.0", labels=LABELS)
    promotion.bump("--image", f"{promotion.image}:1.1.0", "--pin", "--source", "b" * 40)
    assert promotion.trailers["Promoter-Source"] == ["b" * 40]


def test_pin_with_a_digest_asks_nobody(promotion: Promotion) -> None:
    digest = "sha256:" + "b" * 64
    with serving(lambda _: Answer(500)) as web:
        promotion.image = f"{web.host}/acme/api"
        promotion.make()
        result = promotion.bump("--image", f"{promotion.image}:1.1.0@{digest}", "--pin")
    assert (result.code, web.asked) == (0, [])
    assert digest in promotion.file


def test_several_images_of_which_one_has_a_digest(promotion: Promotion) -> None:
    other, given = f"{promotion.repository}-worker", "sha256:" + "c" * 64
    digest = promotion.registry.push_index(promotion.repository, "1.1.0", labels=LABELS)
    old = "".join(
        f"  - name: {promotion.registry.host}/{name}\n    newTag: 1.0.0\n"
        for name in (promotion.repository, other)
    )
    promotion.bench.make(
        {FILE: f"images:\n{old}", ".promoter.yaml": "version: 1\nenvironments: {staging: {path: envs}}\n"}
    )
    images = (f"{promotion.image}:1.1.0", f"{promotion.registry.host}/{other}:1.1.0@{given}")
    result = promotion.bump("--image", images[0], "--image", images[1], "--pin")
    assert (result.code, digest in promotion.file, given in promotion.file) == (0, True, True)
    assert "Promoter-Source" not in promotion.trailers  # it is known of one of them only


def test_an_image_that_must_exist(promotion: Promotion) -> None:
    wanted = ("--image", f"{promotion.image}:1.1.0", "--require-image")
    message = promotion.refused(*wanted, code=4, reason="image-missing")
    assert f"{promotion.image}:1.1.0 is not in its registry" in message
    digest = promotion.registry.push_index(promotion.repository, "1.1.0")
    planned = promotion.bump(*wanted, "--dry-run")
    assert (planned.code, planned.document["status"]) == (0, "planned")
    result = promotion.bump(*wanted)
    assert (result.code, result.document["status"]) == (0, "promoted")
    assert "newTag: 1.1.0\n" in promotion.file
    assert digest not in promotion.file  # nobody asked for it


def test_the_variable_of_the_option(promotion: Promotion) -> None:
    env = {"PROMOTER_REQUIRE_IMAGE": "true"}
    promotion.refused("--image", f"{promotion.image}:1.1.0", code=4, reason="image-missing", env=env)


def test_platforms_that_the_configuration_wants(promotion: Promotion) -> None:
    promotion.registry.push_index(promotion.repository, "1.1.0", platforms=["linux/amd64"])
    promotion.make("images: [{match: '*/acme/*', platforms: [linux/amd64, linux/arm64]}]\n")
    wanted = ("--image", f"{promotion.image}:1.1.0")
    message = promotion.refused(*wanted, "--require-image", code=4, reason="platform-missing")
    assert "not there for linux/arm64; its platforms are: linux/amd64" in message
    promotion.registry.push_index(promotion.repository, "1.1.0", platforms=["linux/amd64", "linux/arm64/v8"])
    assert promotion.bump(*wanted, "--require-image").document["status"] == "promoted"


def test_platforms_count_however_the_host_is_spelled(promotion: Promotion) -> None:
    port = promotion.registry.host.rpartition(":")[2]
    names = [f"{host}:{port}/{promotion.repository}" for host in ("localhost", "LOCALHOST")]
    promotion.environ = docker_config(promotion.bench.root / "docker", auths(f"localhost:{port}"))
    promotion.registry.push_index(promotion.repository, "1.1.0", platforms=["linux/amd64"])
    for match, image in (names, names[::-1]):
        promotion.image = image
        promotion.make(f"images: [{{match: '{match}', platforms: [linux/arm64]}}]\n")
        wanted = ("--image", f"{image}:1.1.0", "--require-image")
        promotion.refused(*wanted, code=4, reason="platform-missing")
    promotion.make(f"images: [{{match: '{match}', platforms: [linux/amd64]}}]\n")
    assert promotion.bump(*wanted).document["status"] == "promoted"


def test_a_digest_that_is_another_one(promotion: Promotion) -> None:
    """Of one platform, say, where the tag names an index."""
    digest = promotion.registry.push_index(promotion.repository, "1.1.0")
    one = promotion.registry.push_image(promotion.repository, labels={"platform": "linux/amd64"})
    wanted = f"{promotion.image}:1.1.0@{one}"
    message = promotion.refused("--image", wanted, "--require-image", code=4, reason="digest-differs")
    assert digest in message
    assert one in message
    right = promotion.bump("--image", f"{promotion.image}:1.1.0@{digest}", "--require-image", "--pin")
    assert (right.code, digest in promotion.file) == (0, True)


@pytest.mark.parametrize("option", ["--pin", "--require-image"])
def test_an_app_and_its_tag(promotion: Promotion, option: str) -> None:
    """A layout that holds no image's name: the configuration says whose tag it is."""
    config = f"""\
version: 1
environments: {{staging: {{path: envs/staging}}}}
apps: {{api: {{images: ["{promotion.image}"]}}}}
targets: [{{file: "tags/{{environment}}", tag: tag, digest: digest, image: "{promotion.image}"}}]
"""
    old = f"tag: 1.0.0\ndigest: sha256:{'a' * 64}\n"
    promotion.bench.make({"tags/staging": old, ".promoter.yaml": config})
    wanted = ("--app", "api", "--tag", "1.1.0", option)
    assert promotion.image in promotion.refused(*wanted, code=4, reason="image-missing")
    digest = promotion.registry.push_index(promotion.repository, "1.1.0")
    given = ("--digest", digest) if option == "--require-image" else ()
    result = promotion.bump(*wanted, *given)
    assert (result.code, result.document["app"]) == (0, "api")
    assert repos.read_file(promotion.bench.repo, "tags/staging") == f"tag: 1.1.0\ndigest: {digest}\n".encode()


def test_no_credential(promotion: Promotion) -> None:
    env = docker_config(promotion.bench.root / "empty", {})
    wanted = ("--image", f"{promotion.image}:1.1.0", "--pin")
    message = promotion.refused(*wanted, code=8, reason="authentication", env=env)
    assert "without a credential" in message


def test_what_every_attempt_shows(promotion: Promotion) -> None:
    """Neither -v nor --debug shows a secret, whether it is accepted or not."""
    promotion.registry.push_index(promotion.repository, "1.1.0")
    arguments = promotion.bench.arguments(
        *ENV, "--image", f"{promotion.image}:1.1.0", "--pin", "-v", "--debug"
    )
    for password in (PASSWORD, "canary-wrong-77aa"):
        env = docker_config(
            promotion.bench.root / "docker", auths(promotion.registry.host, "robot", password)
        )
        result = promotion.bench.run(*arguments, env=env)
        promotion.check(result)
        assert result.code == (0 if password == PASSWORD else 8)
        said = result.stdout + result.stderr
        assert f"http://{promotion.registry.host} for {promotion.image}:1.1.0" in said
        assert "canary-wrong-77aa" not in said


def test_a_registry_that_is_away(promotion: Promotion) -> None:
    with serving(lambda _: Answer()) as web:
        pass
    promotion.image = f"{web.host}/acme/api"
    promotion.make()
    message = promotion.refused("--image", f"{promotion.image}:1.1.0", "--pin", code=9, reason="unreachable")
    assert web.url in message


def test_documents_are_valid(promotion: Promotion) -> None:
    schema = read_schema("outcome")
    for args in (["--require-image"], ["--pin"]):
        result = promotion.bump("--image", f"{promotion.image}:9.9.9", *args)
        assert result.document["reason"] == "image-missing"
        jsonschema.validate(json.loads(result.stdout), schema)
