"""`promoter diff` over real Git: image by image, with what history tells of the sources."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from promoter.schema_files import read_schema
from tests.board.boards import DIGEST
from tests.board.environments import REGISTRY, Manifests
from tests.support import repos
from tests.support.cli import Result, run_promoter

DAYS = timedelta(days=1)
OLD, NEW = "a1" * 20, "b2" * 20
RUN = "https://github.com/acme/api/actions/runs/17"


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    made = Manifests(tmp_path / "deploy.git")
    made.set(
        "staging", ago=9 * DAYS, api="1.0", web="3.0", jobs="main-1111111", only="1", trailers=brought(OLD)
    )
    made.set(
        "production",
        ago=8 * DAYS,
        api="1.0",
        web="3.0",
        jobs="main-2222222",
        legacy="5",
        trailers=brought(OLD),
    )
    made.set("staging", ago=DAYS, api="1.1", trailers=brought(NEW))
    return made


def brought(revision: str, image: str = "api") -> str:
    """What a promotion's commit says of the source."""
    return (
        f"Promoter-Id: 0123456789abcdef\nPromoter-Image: {REGISTRY}/{image}:1\n"
        f"Promoter-Source: {revision}\nPromoter-Run: {RUN}\n"
    )


def diff(manifests: Manifests, a: str, b: str, *more: str, **settings: Any) -> Result:
    return run_promoter("diff", a, b, "--manifest-repo", str(manifests.repo), *more, **settings)


def images(manifests: Manifests, a: str, b: str, *more: str) -> dict[str, Any]:
    """What the document says, by app."""
    result = diff(manifests, a, b, "--output", "json", *more)
    assert result.code == 0, result
    jsonschema.validate(result.document, read_schema("outcome"))
    assert (result.document["diff"]["a"], result.document["diff"]["b"]) == (a, b)
    return {one["app"]: one for one in result.document["diff"]["images"]}


def tags(one: Any) -> tuple[list[str], list[str]]:
    return [each["tag"] for each in one["a"]], [each["tag"] for each in one["b"]]


def test_image_by_image(manifests: Manifests) -> None:
    found = images(manifests, "staging", "production")
    assert {app: (one["relation"], one["order"], *tags(one)) for app, one in found.items()} == {
        "api": ("differs", "older", ["1.1"], ["1.0"]),
        "web": ("same", "same", ["3.0"], ["3.0"]),
        "jobs": ("differs", "unknown", ["main-1111111"], ["main-2222222"]),
        "only": ("only-a", None, ["1"], []),
        "legacy": ("only-b", None, [], ["5"]),
    }


@pytest.mark.parametrize(("a", "b"), [("staging", "production"), ("production", "staging")])
def test_the_link_goes_from_the_older_to_the_newer(manifests: Manifests, a: str, b: str) -> None:
    api = images(manifests, a, b)["api"]
    assert api["compare_url"] == f"https://github.com/acme/api/compare/{OLD}...{NEW}"
    assert {one["tag"]: one["source"] for side in ("a", "b") for one in api[side]} == {"1.0": OLD, "1.1": NEW}
    assert api["compare_url"] in diff(manifests, a, b).stdout


def test_no_link_where_a_commit_tells_no_source(manifests: Manifests) -> None:
    manifests.set("production", ago=timedelta(hours=1), api="1.0.5")  # by hand
    api = images(manifests, "staging", "production")["api"]
    assert (api["compare_url"], api["b"][0]["source"], api["a"][0]["source"]) == (None, None, NEW)


def test_what_people_read(manifests: Manifests) -> None:
    lines = [line.split() for line in diff(manifests, "staging", "production").stdout.splitlines()]
    assert lines[0] == ["APP", "STAGING", "PRODUCTION"]
    assert lines[1] == ["api", "1.1", "1.0", "production", "is", "older"]
    assert ["web", "3.0", "3.0", "same"] in lines
    assert ["only", "1", "-", "only", "in", "staging"] in lines
    assert " ".join(lines[-1]) == "5 images: 2 differ, 1 only in staging, 1 only in production, 1 the same"


def test_digests_tell_two_builds_of_one_tag_apart(manifests: Manifests) -> None:
    other = "sha256:" + "1f" * 32
    manifests.set("staging", ago=2 * DAYS, web=f"3.0@{DIGEST}")
    assert images(manifests, "staging", "production")["web"]["relation"] == "same"  # one side does not say
    manifests.set("production", ago=DAYS, web=f"3.0@{other}")
    web = images(manifests, "staging", "production")["web"]
    assert (web["relation"], web["order"]) == ("differs", "unknown")
    assert (web["a"][0]["digest"], web["b"][0]["digest"]) == (DIGEST, other)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("--app", "api"), {"api"}),
        (("--app", "api", "--app", "web"), {"api", "web"}),
        (("--image", f"{REGISTRY}/legacy"), {"legacy"}),
        (("--app", "api", "--image", f"{REGISTRY}/web"), set()),
    ],
)
def test_only_some_apps_or_images(manifests: Manifests, filters: tuple[str, ...], expected: set[str]) -> None:
    assert images(manifests, "staging", "production", *filters).keys() == expected


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("staging", "prod"), 3, "no environment is called 'prod'"),
        (("staging", "production", "--app", "apy"), 4, "neither staging nor production runs the app 'apy'"),
        (("staging", "production", "--image", "ghcr.io/acme/none"), 4, "runs the image ghcr.io/acme/none"),
        (("staging", "production", "--image", "ghcr.io/acme/api:1.0"), 2, "--image: "),
        (("staging",), 2, "Missing argument"),
    ],
)
def test_what_is_not_there(manifests: Manifests, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = run_promoter("diff", *arguments, "--manifest-repo", str(manifests.repo), "--output", "json")
    assert result.code == code, result
    jsonschema.validate(result.document, read_schema("outcome"))
    assert says in result.document["error"]["message"]
    assert result.document["error"]["next"]


def test_nothing_is_changed(manifests: Manifests) -> None:
    before = repos.git(manifests.repo, "for-each-ref")
    images(manifests, "staging", "production")
    assert repos.git(manifests.repo, "for-each-ref") == before
