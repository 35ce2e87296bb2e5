"""Whether an image is still there: yes, no, or nobody can tell, and soon."""

import time
from pathlib import Path

import pytest

from promoter.deadline import Deadline
from promoter.image import parse_reference
from promoter.registry import exists
from tests.support.registry import INDEX, Answer, Registry, auths, docker_config, serving


def there(reference: str, environ: dict[str, str], *, only_with_credentials: bool = False) -> bool | None:
    image, deadline = parse_reference(reference), Deadline(60)
    return exists(image, environ, deadline, print, only_with_credentials=only_with_credentials)


def test_an_image_by_tag_and_by_digest(open_registry: Registry, repository: str) -> None:
    digest = open_registry.push_index(repository, "1.0.0")
    name = f"{open_registry.host}/{repository}"
    assert there(f"{name}:1.0.0", {}) is True
    assert there(f"{name}@{digest}", {}) is True
    assert there(f"{name}:gone@{digest}", {}) is True  # the digest is what is pulled
    assert there(f"{name}:2.0.0", {}) is False
    _, headers, _ = open_registry.request("GET", repository, "manifests/1.0.0", {"Accept": INDEX})
    open_registry.delete(repository, headers["docker-content-digest"])
    assert there(f"{name}:1.0.0@{digest}", {}) is False


def test_a_registry_that_wants_a_credential(
    basic_registry: Registry, repository: str, tmp_path: Path
) -> None:
    basic_registry.push_index(repository, "1.0.0")
    reference = f"{basic_registry.host}/{repository}:1.0.0"
    assert there(reference, {}) is None
    assert there(reference, docker_config(tmp_path, auths(basic_registry.host, "x", "wrong"))) is None
    login = docker_config(tmp_path, auths(basic_registry.host))
    assert there(reference, login, only_with_credentials=True) is True
    assert there(f"{reference}0", login, only_with_credentials=True) is False


def test_a_registry_without_a_credential_is_not_asked(tmp_path: Path) -> None:
    with serving(lambda _: Answer()) as web:
        for environ in ({}, docker_config(tmp_path, auths("other.example.com"))):
            assert there(f"{web.host}/acme/api:1", environ, only_with_credentials=True) is None
    assert web.asked == []


@pytest.mark.parametrize("status", [200, 400, 401, 403, 405, 429])
def test_a_server_that_is_no_help(status: int) -> None:
    headers = {"Retry-After": "30"} if status == 429 else {}
    began = time.monotonic()
    with serving(lambda _: Answer(status, headers)) as web:
        assert there(f"{web.host}/acme/api:1", {}) is (True if status == 200 else None)
    assert time.monotonic() - began < 10


def test_a_configuration_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert there("registry.example.com/acme/api:1", environ, only_with_credentials=True) is None


def test_nobody_there() -> None:
    with serving(lambda _: Answer()) as web:
        pass
    assert there(f"{web.host}/acme/api:1", {}) is None
