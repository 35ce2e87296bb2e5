"""What a registry says of an image, and what of that is believed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from promoter.errors import DeadlineError, NotFoundError, PromoterError, UnreachableError
from promoter.registry.manifest import MAX_BYTES
from tests.registry.conftest import Asker
from tests.support import registry as support
from tests.support.registry import INDEX, MANIFEST, Answer, Asked, Registry, serving, sha256

REVISION = "5f0c6a2b9d1e4c7f8a3b6d9e0c1f2a4b5d6e7f80"
LABELS = {
    "org.opencontainers.image.source": "https://github.com/acme/api",
    "org.opencontainers.image.revision": REVISION,
    "org.opencontainers.image.created": "2026-03-01T12:00:00.123456789+01:00",
    "org.opencontainers.image.version": "1.4.2",
}


@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "Docker"])
def test_a_tag_that_names_an_index(
    open_registry: Registry, repository: str, ask: Asker, docker: bool
) -> None:
    digest = open_registry.push_index(repository, "1.4.2", labels=LABELS, docker=docker)
    found = ask(f"{open_registry.host}/{repository}:1.4.2")
    assert found.digest == digest
    assert found.platforms == ("linux/amd64", "linux/arm64/v8")
    assert (found.source, found.revision, found.version) == ("https://github.com/acme/api", REVISION, "1.4.2")
    assert found.created == datetime(2026, 3, 1, 12, 0, 0, 123456, timezone(timedelta(hours=1)))
    assert ask(f"{open_registry.host}/{repository}@{digest}") == found


@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "Docker"])
def test_a_tag_that_names_one_image(
    open_registry: Registry, repository: str, ask: Asker, docker: bool
) -> None:
    digest = open_registry.push_image(
        repository, "1.4.2", platform="linux/arm/v7", labels=LABELS, docker=docker
    )
    found = ask(f"{open_registry.host}/{repository}:1.4.2", ["linux/arm"])
    assert (found.digest, found.platforms, found.revision) == (digest, ("linux/arm/v7",), REVISION)


def test_annotations_fill_in_what_labels_lack(open_registry: Registry, repository: str, ask: Asker) -> None:
    other = {key: f"{value} of the annotations" for key, value in LABELS.items()}
    only = {"org.opencontainers.image.source": "https://example.com/labels"}
    open_registry.push_image(repository, "image", labels=only, annotations=other)
    open_registry.push_index(repository, "index", labels=only, annotations=other)
    for tag in ("image", "index"):
        found = ask(f"{open_registry.host}/{repository}:{tag}")
        assert found.source == "https://example.com/labels"
        assert found.revision == f"{REVISION} of the annotations"
        assert found.created is None  # that is no time


def test_what_is_no_container_image(open_registry: Registry, repository: str, ask: Asker) -> None:
    """A Helm chart, say: it has a digest, but no platform."""
    helm = "application/vnd.cncf.helm.config.v1+json"
    digest = open_registry.push_image(repository, "1.0.0", config_type=helm)
    found = ask(f"{open_registry.host}/{repository}:1.0.0")
    assert (found.digest, found.platforms, found.revision) == (digest, (), None)


@pytest.mark.parametrize(
    "label", ["", "two\nlines", "esc \x1b[31m", "x" * 5000, 7, ["a"]], ids=lambda label: repr(label)[:12]
)
def test_a_label_that_is_none_of_ours(
    open_registry: Registry, repository: str, ask: Asker, label: Any
) -> None:
    labels = {**LABELS, "org.opencontainers.image.revision": label}
    open_registry.push_image(repository, "1.0.0", labels=labels)
    found = ask(f"{open_registry.host}/{repository}:1.0.0")
    assert (found.revision, found.version) == (None, "1.4.2")


def test_a_time_without_a_zone(open_registry: Registry, repository: str, ask: Asker) -> None:
    for tag, created, read in (
        ("none", "2026-03-01T12:00:00", None),
        ("utc", "2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ):
        labels = {"org.opencontainers.image.created": created}
        open_registry.push_image(repository, tag, labels=labels)
        assert ask(f"{open_registry.host}/{repository}:{tag}").created == read


# --- platforms


@pytest.mark.parametrize(
    "wanted",
    [["linux/amd64"], ["linux/arm64"], ["linux/arm64/v8"], ["linux/amd64/v1", "linux/arm64"]],
    ids=",".join,
)
def test_platforms_that_are_there(
    open_registry: Registry, repository: str, ask: Asker, wanted: list[str]
) -> None:
    open_registry.push_index(repository, "1.0.0")
    assert ask(f"{open_registry.host}/{repository}:1.0.0", wanted).platforms


@pytest.mark.parametrize("wanted", ["windows/amd64", "linux/arm", "linux/arm64/v9", "linux/amd64/v3"])
def test_a_platform_that_is_missing(
    open_registry: Registry, repository: str, ask: Asker, wanted: str
) -> None:
    open_registry.push_index(repository, "index")
    open_registry.push_image(repository, "image")
    for tag, there in (("index", "linux/amd64, linux/arm64/v8"), ("image", "linux/amd64")):
        error = failure(ask, f"{open_registry.host}/{repository}:{tag}", ["linux/amd64", wanted])
        assert (error.exit_code, error.reason) == (4, "platform-missing")
        assert f"not there for {wanted}; its platforms are: {there}" in error.message
        assert error.next_step


def test_a_platform_that_the_index_lists_in_vain(
    open_registry: Registry, repository: str, ask: Asker
) -> None:
    open_registry.push_index(repository, "1.0.0")
    _, _, index = open_registry.request("GET", repository, "manifests/1.0.0", {"Accept": INDEX})
    arm = next(
        one["digest"] for one in json.loads(index)["manifests"] if one["platform"]["architecture"] == "arm64"
    )
    open_registry.delete(repository, arm)
    reference = f"{open_registry.host}/{repository}:1.0.0"
    error = failure(ask, reference, ["linux/amd64", "linux/arm64"])
    assert (error.reason, "linux/arm64/v8" in error.message) == ("platform-missing", True)
    assert ask(reference, ["linux/amd64"]).digest == sha256(index)


@pytest.mark.parametrize("reference", ["{}:2.0.0", "{}-absent:1.0.0", f"{{}}@sha256:{'0' * 64}"])
def test_an_image_that_is_missing(
    open_registry: Registry, repository: str, ask: Asker, reference: str
) -> None:
    open_registry.push_image(repository, "1.0.0")
    wanted = f"{open_registry.host}/{reference.format(repository)}"
    error = failure(ask, wanted)
    assert isinstance(error, NotFoundError)
    assert (error.exit_code, error.reason) == (4, "image-missing")
    assert wanted in error.message
    assert "pushed" in str(error.next_step)


# --- answers that nobody should believe


def document(**content: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **content}).encode()


def config_of(content: bytes) -> dict[str, Any]:
    return {"mediaType": support.CONFIG, "digest": sha256(content), "size": len(content)}


BAD: dict[str, tuple[Answer, str]] = {
    "another digest": (Answer(headers={"Docker-Content-Digest": sha256(b"x")}, body=document()), "digest"),
    "no JSON": (Answer(body=b"<html>"), "no JSON"),
    "no object": (Answer(body=b"[]"), "no JSON object"),
    "deep": (Answer(body=b'{"a":' * 200_000 + b"1" + b"}" * 200_000), "no JSON"),
    "long": (Answer(body=b'{"a": "' + b"x" * MAX_BYTES + b'"}'), "more than 4 MiB"),
    "both": (Answer(body=document(manifests=[], layers=[])), "an index and a manifest"),
    "manifests of no kind": (Answer(body=document(manifests={"a": 1})), "no list"),
    "no configuration": (Answer(body=document(config=config_of(b"{}"))), "lacks its configuration"),
    "no registry": (Answer(405), "does not answer like a registry (HTTP 405)"),
    "redirect to nowhere": (Answer(307), "does not answer like a registry"),
    "redirect in the clear": (Answer(307, {"Location": "http://192.0.2.1/x"}), "like a registry (HTTP 307)"),
    "redirect to no URL": (Answer(307, {"Location": "http://[x/"}), "like a registry (HTTP 307)"),
    "redirect to a file": (Answer(307, {"Location": "file:///etc/passwd"}), "like a registry (HTTP 307)"),
    "redirect without end": (Answer(307, {"Location": "/again"}), "like a registry (HTTP 307)"),
}


@pytest.mark.parametrize(("answer", "says"), BAD.values(), ids=BAD.keys())
def test_an_answer_that_cannot_be_used(ask: Asker, answer: Answer, says: str) -> None:
    def respond(asked: Asked) -> Answer:
        return answer if "/blobs/" not in asked.path else Answer(404)

    with serving(respond) as web:
        error = failure(ask, f"{web.host}/acme/api:1")
    assert (error.exit_code, error.reason) == (9, "bad-answer")
    assert says in error.message
    assert len(error.message) < 300
    assert len(web.asked) < 10


def test_a_blob_that_was_changed(ask: Asker) -> None:
    manifest = document(config=config_of(b'{"os": "linux"}'))

    def respond(asked: Asked) -> Answer:
        return Answer(body=b'{"os": "other"}' if "/blobs/" in asked.path else manifest)

    with serving(respond) as web:
        assert "digest" in failure(ask, f"{web.host}/acme/api:1").message


def test_an_entry_that_the_index_does_not_mean(ask: Asker) -> None:
    """The labels come from the very manifest that the index names by digest."""
    entry = {
        "mediaType": MANIFEST,
        "digest": sha256(b"meant"),
        "platform": {"os": "linux", "architecture": "amd64"},
    }

    def respond(asked: Asked) -> Answer:
        return Answer(body=document(manifests=[entry]) if asked.path.endswith("/1") else document())

    with serving(respond) as web:
        assert sha256(b"meant") in failure(ask, f"{web.host}/acme/api:1").message


@pytest.mark.parametrize(
    "platform", [{"os": "linux\n::error::x", "architecture": "amd64"}, {"os": 1}, "linux/amd64", None]
)
def test_a_platform_that_is_no_word(ask: Asker, platform: Any) -> None:
    entry = {"mediaType": MANIFEST, "digest": sha256(b""), "platform": platform}
    with serving(lambda _: Answer(body=document(manifests=[entry]))) as web:
        error = failure(ask, f"{web.host}/acme/api:1", ["linux/amd64"])
    assert "its platforms are: none" in error.message


# --- servers that have trouble


def test_a_server_that_is_busy(open_registry: Registry, repository: str, ask: Asker) -> None:
    """429 and 503 are waited for as they ask, and the look-up goes on."""
    digest = open_registry.push_image(repository, "1.0.0")
    _, _, manifest = open_registry.request("GET", repository, "manifests/1.0.0", {"Accept": MANIFEST})
    busy = [Answer(429, {"Retry-After": "1"}), Answer(503), Answer(403, {"Retry-After": "0"})]

    def respond(asked: Asked) -> Answer:
        if busy:
            return busy.pop(0)
        path = asked.path.removeprefix(f"/v2/{repository}/")
        _, _, body = open_registry.request("GET", repository, path)
        return Answer(body=manifest if "/manifests/" in asked.path else body)

    with serving(respond) as web:
        assert ask(f"{web.host}/{repository}:1.0.0").digest == digest
    assert any("trying again" in line for line in ask.said)


def test_a_server_that_asks_to_wait_too_long(ask: Asker) -> None:
    with serving(lambda _: Answer(429, {"Retry-After": "3600"})) as web:
        error = failure(ask, f"{web.host}/acme/api:1")
    assert isinstance(error, DeadlineError)
    assert (error.exit_code, len(web.asked)) == (7, 1)
    assert "3600 s" in error.message


def test_a_server_that_fails_until_the_deadline(ask: Asker) -> None:
    ask.seconds = 1
    with serving(lambda _: Answer(500, body=b"x" * 100)) as web:
        assert failure(ask, f"{web.host}/acme/api:1").exit_code == 7


def test_nobody_there(ask: Asker) -> None:
    with serving(lambda _: Answer()) as web:
        pass
    error = failure(ask, f"{web.host}/acme/api:1")
    assert isinstance(error, UnreachableError)
    assert (error.exit_code, web.url in error.message) == (9, True)


def failure(ask: Callable[..., Any], *args: Any) -> PromoterError:
    with pytest.raises(PromoterError) as raised:
        ask(*args)
    return raised.value
