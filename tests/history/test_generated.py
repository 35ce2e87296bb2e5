"""On a generated history, what promoter tells of the past equals what a full clone holds."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from promoter import session
from promoter.config import Config, parse_config
from promoter.deadline import Deadline
from promoter.git.landings import Landing
from promoter.git.repository import Repository, Snapshot
from promoter.inventory import running
from promoter.past.standing import since, soaked, states
from tests.history import generator, oracle
from tests.support import repos
from tests.support.cli import REPOSITORY, Result, run_promoter
from tests.support.gitserver import GitServer

COMMITS = 2000
SCHEMA = json.loads((REPOSITORY / "schemas" / "outcome.schema.json").read_text())


@dataclass
class Past:
    """The repository behind a server, and every commit of it as the oracle reads them."""

    repo: Path
    url: str
    lines: dict[str, list[oracle.Point]]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    root = tmp_path_factory.mktemp("served")
    repo = generator.make(root / "deploy.git", COMMITS)
    lines = {name: oracle.line_of(repo, name) for name in generator.ENVIRONMENTS}
    assert {len(line) for line in lines.values()} == {COMMITS}
    with GitServer(root) as server:
        yield Past(repo, f"{server.url}/deploy.git", lines)


@dataclass
class Opened:
    """A shallow start, as every run has it."""

    repository: Repository
    snapshot: Snapshot
    config: Config


@pytest.fixture(scope="module")
def opened(past: Past) -> Iterator[Opened]:
    caller = session.Caller(past.url, {"PATH": os.environ["PATH"]}, lambda _: None)
    with session.open_repository(caller, Deadline(120), lambda _: None) as repository:
        snapshot = repository.open(None)
        assert (repository.git.directory / "shallow").read_text().strip() == snapshot.commit
        config = parse_config(generator.CONFIGURATION, ".promoter.yaml", version="1.0")
        yield Opened(repository, snapshot, config)


def references(name: str, versions: tuple[oracle.Version, ...]) -> list[str]:
    return sorted(f"{name}:{tag}" + (f"@{digest}" if digest else "") for tag, digest in versions)


@pytest.mark.parametrize("environment", generator.ENVIRONMENTS)
def test_the_verb_lists_every_move(past: Past, environment: str) -> None:
    result = run_promoter(
        "history", environment, "--manifest-repo", past.url, "--limit", "100000", "--output", "json"
    )
    assert result.code == 0, result
    document = result.document
    jsonschema.validate(document, SCHEMA)
    told = [
        (entry["commit"], entry["app"], one["image"], sorted(one["before"]), sorted(one["after"]))
        for entry in document["history"]
        for one in entry["images"]
    ]
    expected = [
        (commit, app, image, references(image, before), references(image, after))
        for commit, app, image, before, after in oracle.moves(past.lines[environment])
    ]
    assert len(told) > COMMITS / 10
    assert told == expected
    assert (document["unknown_before"], document["warnings"]) == ([], [])
    dates = {point.commit: point.seconds for point in past.lines[environment]}
    assert [_seconds(entry) for entry in document["history"]] == [
        dates[entry["commit"]] for entry in document["history"]
    ]
    assert {entry["kind"] for entry in document["history"]} >= {"promotion", "revert", "by-hand"}


def _seconds(entry: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(entry["when"]).timestamp())


@pytest.mark.parametrize("environment", generator.ENVIRONMENTS)
def test_everything_stands_since_its_landing(past: Past, opened: Opened, environment: str) -> None:
    place = opened.config.environments[environment]
    images = [one.image for one in running(opened.repository, opened.snapshot, opened.config, place)]
    found = since(opened.repository, opened.snapshot, opened.config, place, images)
    told = {
        (image.name, (image.tag, image.digest)): (one.commit, int(one.when.timestamp()))
        for image, one in found.items()
    }
    assert told == oracle.since(past.lines[environment])
    assert all(one.exact for one in found.values())


@pytest.mark.parametrize("environment", generator.ENVIRONMENTS)
def test_two_states_back_for_every_app(past: Past, opened: Opened, environment: str) -> None:
    line = past.lines[environment]
    apps = {app for point in line for app, _ in point.held}
    assert len(apps) > 8
    for app in sorted(apps):
        assert _states(opened, environment, app, 3) == _expected(line, app)[:3], app


@pytest.mark.parametrize("app", ["shop", "cart", "auth-next"])
def test_all_states_of_an_app(past: Past, opened: Opened, app: str) -> None:
    """Of two images and canaries; ruled by a root kustomization; named by a base file."""
    assert _states(opened, "staging", app) == _expected(past.lines["staging"], app)


def _states(
    opened: Opened, environment: str, app: str, most: int | None = None
) -> list[tuple[str, dict[str, list[str]]]]:
    place = opened.config.environments[environment]
    found = []
    for one in states(opened.repository, opened.snapshot, opened.config, place, app, most):
        assert isinstance(one.landing, Landing)
        assert all(len(versions) > 1 for versions in one.several.values())
        held = {name: (version,) for name, version in one.versions.items()} | dict(one.several)
        found.append((one.landing.commit, _sorted(held)))
    return found


def _expected(line: list[oracle.Point], app: str) -> list[tuple[str, dict[str, list[str]]]]:
    return [(commit, _sorted(state)) for commit, state in oracle.states(line, app)]


def _sorted(state: Any) -> dict[str, list[str]]:
    return {name: sorted(map(str, versions)) for name, versions in state.items()}


def test_the_newest_that_soaked(past: Past, opened: Opened) -> None:
    kinds = set()
    for environment, line in past.lines.items():
        place = opened.config.environments[environment]
        now = datetime.fromtimestamp(line[0].seconds + 60, UTC)
        images = [one.image for one in running(opened.repository, opened.snapshot, opened.config, place)]
        for soak in (timedelta(hours=9), timedelta(days=4)):
            found = soaked(opened.repository, opened.snapshot, opened.config, place, images, soak, now)
            told = {image.name: (image.tag, image.digest) for image in found.values()}
            for image in {image.name for image in images}:
                expected = _soaked(line, image, soak.total_seconds(), now.timestamp())
                assert (told[image] in expected) if expected else (image not in told), image
            kinds |= {(image.tag, image.digest) == told.get(image.name) for image in images}
    assert {True, False} <= kinds  # some stand, some are gone since


def _soaked(line: list[oracle.Point], image: str, soak: float, now: float) -> set[oracle.Version]:
    """Of the versions that stood so long without a break those that came last."""
    stood: dict[int, set[oracle.Version]] = {}
    held = [
        {version for (_, name), versions in point.held.items() if name == image for version in versions}
        for point in line
    ]
    for start, point in enumerate(line):
        older = held[start + 1] if start + 1 < len(line) else set()
        for version in held[start] - older:
            end = start
            while end > 0 and version in held[end - 1]:
                end -= 1
            left = now if end == 0 else line[end - 1].seconds
            if left - point.seconds >= soak:
                stood.setdefault(start, set()).add(version)
    return stood[min(stood)] if stood else set()


# --- the verb that goes back -------------------------------------------------------------------

EXITS = {"image-not-found": 4, "nothing-before": 4, "ambiguous-image": 4, "digest": 6, "not-older": 6}
# So many commits before the newest one some apps have next to no past, and some sites pin a digest.
EARLY = 1934


@dataclass(frozen=True)
class Ask:
    """A rollback of one app by two steps, so many commits before the newest one."""

    environment: str
    app: str
    ago: int = 0
    again: bool = False


@pytest.fixture(scope="module")
def copy(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same repository, to be written to, with a branch that ends early."""
    repo = Path(shutil.copytree(past.repo, tmp_path_factory.mktemp("copy") / "deploy.git"))
    repos.git(repo, "branch", f"ago-{EARLY}", past.lines["staging"][EARLY].commit)
    return repo


def _told(repo: Path, asks: list[Ask], *more: str) -> dict[Ask, Any]:
    """The outcome of each, two at a time."""

    def run(ask: Ask) -> Result:
        base = ("--base", f"ago-{ask.ago}") if ask.ago else ()
        again = ("--again",) if ask.again else ()
        where = ("--manifest-repo", str(repo), *base, "--output", "json")
        wanted = (ask.environment, "--app", ask.app, "--steps", "2", *again)
        return run_promoter("rollback", *wanted, *where, *more, timeout=120)

    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(asks, pool.map(run, asks), strict=True))
    for ask, result in results.items():
        assert result.document is not None, (ask, result)
        assert result.code == EXITS.get(result.document["reason"], 0), (ask, result)
    return {ask: result.document for ask, result in results.items()}


def _answer(document: Any, status: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Why not, else empty, and what moves."""
    moves = {(one["before"], one["after"]) for one in document["changes"] if one["status"] == status}
    return document["reason"] if document["error"] else "", frozenset(moves)


def test_rollback_leads_two_steps_back(past: Past, copy: Path) -> None:
    expected = {}
    for environment, line in past.lines.items():
        for app in sorted({app for point in line for app, _ in point.held}):
            expected[Ask(environment, app)] = oracle.rollback(line, app, 2)
        for app in sorted({app for app, _ in line[EARLY].held}):
            expected[Ask(environment, app, EARLY)] = oracle.rollback(line[EARLY:], app, 2)
    assert {one.reason for one in expected.values()} == {"", *EXITS}
    told = _told(copy, [*expected], "--dry-run")
    for ask, one in expected.items():
        assert _answer(told[ask], "planned") == (one.reason, one.moves), ask
        assert one.reason != "not-older" or "--again" in told[ask]["error"]["next"]


def test_rollback_lands_and_goes_on_from_there(past: Past, copy: Path) -> None:
    """Also forward, with --again; and a second one leads two steps further than where the first one led."""
    line = past.lines["staging"]
    apps = sorted({app for app, _ in line[0].held})
    assert "not-older" in {oracle.rollback(line, app, 2).reason for app in apps}
    all_first = {Ask("staging", app, again=True): oracle.rollback(line, app, 2, again=True) for app in apps}
    first = {ask: one for ask, one in all_first.items() if not one.reason}
    told = _told(copy, [*first])
    for ask, one in first.items():
        assert _answer(told[ask], "promoted") == ("", one.moves), ask
    line = oracle.line_of(copy, "staging")
    assert len(line) == COMMITS + len([one for one in first.values() if one.moves])
    told = _told(copy, [*first], "--dry-run")
    for ask, one in first.items():
        then = oracle.rollback(line, ask.app, 2, gone_back_to=one.commit, again=True)
        assert _answer(told[ask], "planned") == (then.reason, then.moves), ask
