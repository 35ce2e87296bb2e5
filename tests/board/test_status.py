"""`promoter status` over real Git: what runs where, since when, how far behind, what is open, what holds."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from promoter.schema_files import read_schema
from tests.board.boards import DIGEST
from tests.board.environments import CONFIG, REGISTRY, Manifests, file_of, kustomization
from tests.forges import stages
from tests.support import repos
from tests.support.cli import Result, run_promoter
from tests.support.gitserver import GitServer

HOURS = timedelta(hours=1)
DAYS = timedelta(days=1)
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;</script>"


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    """`api` passes through all environments, `web` is everywhere alike, `worker` is in dev only."""
    made = Manifests(tmp_path / "deploy.git")
    made.set("dev", ago=90 * DAYS, api="1.0", web="3.0", worker="7")
    made.set("staging", ago=80 * DAYS, api="1.0", web="3.0")
    made.set("production", ago=70 * DAYS, api="1.0", web="3.0")
    made.set("dev", ago=9 * DAYS, api="1.1")
    made.set("staging", ago=8 * DAYS, api="1.1")
    made.set("dev", ago=3 * DAYS, api="1.2")
    made.set("dev", ago=5 * HOURS, api="1.3")
    return made


def status(address: object, *more: str, **settings: Any) -> Result:
    result = run_promoter("status", "--manifest-repo", str(address), *more, **settings)
    assert result.code == 0, result
    return result


def board(address: object, *more: str, **settings: Any) -> Any:
    """The board as JSON, which the schema describes."""
    document = status(address, *more, "--output", "json", **settings).document
    jsonschema.validate(document, read_schema("outcome"), format_checker=jsonschema.FormatChecker())
    assert (document["status"], document["changed"], document["error"]) == ("unchanged", False, None)
    return document


def cells(document: Any) -> dict[tuple[str, str], Any]:
    """By app and environment."""
    return {
        (row["app"], cell["environment"]): cell for row in document["board"]["rows"] for cell in row["cells"]
    }


def ago(text: str) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(text)


def test_versions_ages_and_lag(manifests: Manifests) -> None:
    document = board(manifests.repo)
    found = cells(document)
    runs = {key: [one["tag"] for one in cell["versions"]] for key, cell in found.items()}
    assert runs == {
        ("api", "dev"): ["1.3"], ("api", "staging"): ["1.1"], ("api", "production"): ["1.0"],
        ("web", "dev"): ["3.0"], ("web", "staging"): ["3.0"], ("web", "production"): ["3.0"],
        ("worker", "dev"): ["7"], ("worker", "staging"): [], ("worker", "production"): [],
    }  # fmt: skip
    lag = {key: (cell["drift"], cell["order"], cell["behind"]) for key, cell in found.items()}
    assert lag["api", "dev"] == lag["worker", "staging"] == (None, None, None)
    assert lag["api", "staging"] == (True, "older", 2)
    assert lag["api", "production"] == (True, "older", 1)
    assert lag["web", "production"] == (False, "same", 0)
    hours = {
        key: round(ago(cell["versions"][0]["since"]) / HOURS)
        for key, cell in found.items()
        if cell["versions"]
    }
    assert hours == {
        ("api", "dev"): 5, ("api", "staging"): 8 * 24, ("api", "production"): 70 * 24,
        ("web", "dev"): 90 * 24, ("web", "staging"): 80 * 24, ("web", "production"): 70 * 24,
        ("worker", "dev"): 90 * 24,
    }  # fmt: skip
    assert document["board"]["commit"] == repos.resolve(manifests.repo, "main")
    assert [one["after"] for one in document["board"]["environments"]] == [None, "dev", "staging"]
    assert document["board"]["repository"] == "deploy"


def test_only_the_environments_named_still_compared(manifests: Manifests) -> None:
    document = board(manifests.repo, "production")
    assert [one["name"] for one in document["board"]["environments"]] == ["production"]
    assert document["environment"] == "production"
    assert {row["app"] for row in document["board"]["rows"]} == {"api", "web"}
    assert cells(document)["api", "production"]["behind"] == 1


def test_an_environment_that_is_not_there(manifests: Manifests) -> None:
    result = run_promoter("status", "prodution", "--manifest-repo", str(manifests.repo), "--output", "json")
    assert result.code == 3
    jsonschema.validate(result.document, read_schema("outcome"))
    assert "did you mean 'production'" in result.document["error"]["message"]


def test_a_canary_and_a_digest(manifests: Manifests) -> None:
    deployment = f"kind: Deployment\nmetadata: {{name: canary}}\nspec: {{image: '{REGISTRY}/api:1.2'}}\n"
    manifests.commit({"envs/staging/canary.yaml": deployment}, 2 * HOURS)
    manifests.set("production", ago=HOURS, web=f"3.0@{DIGEST}")
    found = cells(board(manifests.repo))
    assert {one["tag"] for one in found["api", "staging"]["versions"]} == {"1.1", "1.2"}
    assert found["api", "staging"]["behind"] == 2  # the oldest of both
    assert found["api", "production"]["drift"] is True
    [web] = found["web", "production"]["versions"]
    assert (web["digest"], found["web", "production"]["drift"]) == (DIGEST, False)
    text = status(manifests.repo).stdout
    assert "canary" in text
    assert f"3.0@{DIGEST.partition(':')[2][:7]} " in text


def test_holds_until_they_end_and_freezes(tmp_path: Path) -> None:
    frozen = CONFIG.replace(
        "publish: pull-request}", 'freeze: [{from: "2020-01-01 00:00", to: "2099-01-01 00:00"}]}'
    )
    made = Manifests(tmp_path / "deploy.git", frozen)
    made.set("staging", ago=2 * DAYS, api="1.0", web="1.0")
    made.set("production", ago=DAYS, api="1.0")
    over, later = (f"{datetime.now(UTC) + span:%Y-%m-%dT%H:%M:%SZ}" for span in (-HOURS, HOURS))
    made.commit(
        {
            ".promoter/holds/staging/api": f"reason: too slow\nby: the night shift\nuntil: {later}\n",
            ".promoter/holds/staging/web": f"reason: it was\nuntil: {over}\n",
        },
        HOURS,
    )
    document = board(made.repo)
    found = cells(document)
    assert found["api", "staging"]["hold"]["reason"] == "too slow"
    assert found["api", "staging"]["hold"]["until"] == later
    assert found["api", "production"]["hold"] is None
    assert found["web", "staging"]["hold"] is None
    assert [bool(one["frozen"]) for one in document["board"]["environments"]] == [False, False, True]
    text = status(made.repo).stdout
    assert "staging: api is held: too slow, by the night shift, until" in text
    assert "\nproduction: frozen until " in text
    assert "it was" not in text


def test_open_branches_on_plain_git(manifests: Manifests) -> None:
    for tag in ("1.1", "1.2"):
        run = ["bump", "--manifest-repo", str(manifests.repo), "--env", "production"]
        proposed = run_promoter(*run, "--image", f"{REGISTRY}/api:{tag}", "--output", "json")
        assert proposed.document["status"] == "proposed", proposed
    document = board(manifests.repo)
    assert document["board"]["pull_requests_known"] is True
    [one] = cells(document)["api", "production"]["pull_requests"]
    assert (one["tag"], one["number"], one["branch"]) == ("1.2", None, "promoter/production/api")
    assert cells(document)["web", "production"]["pull_requests"] == []
    assert "promoter/production/api to 1.2" in status(manifests.repo).stdout


@pytest.mark.parametrize("place", stages.PLACES)
def test_open_pull_requests_on_a_forge(place: Any, tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    with stages.factory(place)(folder) as stage:
        runs = {f"{name}": kustomization({"api": "1.0"}) for name in ("staging", "production")}
        files: dict[str, repos.Content] = {file_of(name): text for name, text in runs.items()}
        work = repos.make_repo(tmp_path / "work.git", {".promoter.yaml": CONFIG, **files})
        repos.git(work, "push", "--quiet", "--force", stage.push_url, "main")
        bump = ["bump", "--manifest-repo", stage.url, "--env", "production", "--image", f"{REGISTRY}/api:1.1"]
        proposed = run_promoter(*bump, "--output", "json", env=stage.environ)
        assert proposed.document["status"] == "proposed", proposed
        document = board(stage.url, env=stage.environ)
        [one] = cells(document)["api", "production"]["pull_requests"]
        [report] = proposed.document["pull_requests"]
        assert {key: one[key] for key in ("number", "url", "branch")} == {
            key: report[key] for key in ("number", "url", "branch")
        }
        assert one["tag"] == "1.1"
        page = status(stage.url, "--output", "html", env=stage.environ)
        assert f'href="{report["url"]}"' in page.stdout
        assert stage.token not in page.stdout + page.stderr


def test_a_forge_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    made = Manifests(tmp_path / "srv" / "deploy.git", CONFIG + "forge: {type: gitlab}\n")
    made.set("dev", ago=DAYS, api="1.0")
    with GitServer(tmp_path / "srv") as server:
        # A server that knows no API at all answers instead of the forge.
        environ = {"PROMOTER_TOKEN": "canary-5d1f", "PROMOTER_FORGE_API": f"{server.url}/api/v4"}
        address = f"{server.url}/deploy.git"
        document = board(address, env=environ)
        assert document["board"]["pull_requests_known"] is False
        assert [one["code"] for one in document["warnings"]] == ["promotions-unknown"]
        assert cells(document)["api", "dev"]["versions"][0]["tag"] == "1.0"
        text = status(address, env=environ)
        assert "warning: what is open is not known: " in text.stderr
        assert "unknown with an open promotion" in text.stdout
        assert "Open promotions are not known" in status(address, "--output", "html", env=environ).stdout


def test_what_history_does_not_reach_is_said_to_be_unknown(tmp_path: Path) -> None:
    """Of a repository that is itself a shallow copy nobody knows more than its oldest commit."""
    made = Manifests(tmp_path / "whole.git")
    made.set("dev", ago=50 * DAYS, api="1.0")
    made.set("staging", ago=40 * DAYS, api="0.9")
    made.set("dev", ago=2 * DAYS, api="1.1")
    shallow = tmp_path / "deploy.git"
    address = made.repo.as_uri()
    repos.git(tmp_path, "clone", "--quiet", "--bare", "--depth=2", address, str(shallow))
    found = cells(board(shallow))
    [new], [old] = (found["api", name]["versions"] for name in ("dev", "staging"))
    assert round(ago(new["since"]) / DAYS) == 2
    assert old["since"] is None
    assert round(ago(old["since_before"]) / DAYS) == 40
    assert found["api", "staging"]["behind"] is None
    assert re.search(r"^api .* 0\.9 > 40 d +behind  -$", status(shallow).stdout, re.MULTILINE)


def test_text_fits_the_terminal(manifests: Manifests) -> None:
    wide = status(manifests.repo, env={"COLUMNS": "120"}).stdout.splitlines()
    assert wide[0].split() == ["APP", "DEV", "STAGING", "PRODUCTION"]
    assert wide[1].split() == [
        "api",
        "1.3",
        "5",
        "h",
        "1.1",
        "8",
        "d",
        "2",
        "behind",
        "1.0",
        "70",
        "d",
        "1",
        "behind",
    ]
    assert wide[-1] == "3 images in 3 environments: 1 differ"
    narrow = status(manifests.repo, env={"COLUMNS": "40"}).stdout.splitlines()
    assert max(map(len, narrow)) <= 40
    assert narrow[:4] == [
        "api",
        "  dev         1.3 5 h",
        "  staging     1.1 8 d  2 behind",
        "  production  1.0 70 d  1 behind",
    ]
    assert "\x1b" not in "".join(narrow)


class _Page(HTMLParser):
    """Tags with their attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag != "wbr" and self.rows and self.rows[-1]:
            self.rows[-1][-1] += " "
        self.inside = [*self.inside[-1:], tag]

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self.inside[-1:] != ["script"]:
            self.rows[-1][-1] += data


def test_the_page_holds_everything_without_a_script(manifests: Manifests) -> None:
    result = status(manifests.repo, "--output", "html")
    page = _Page(result.stdout)
    rows = [[" ".join(cell.split()) for cell in row] for row in page.rows]
    assert rows[0] == ["App", "dev", "staging after dev", "production after staging"]
    assert rows[1] == ["api ghcr.io/acme/api", "1.3 5 h", "1.1 8 d 2 behind", "1.0 70 d 1 behind"]
    assert rows[3][:3] == ["worker ghcr.io/acme/worker", "7 3 mo", "– not used"]  # noqa: RUF001 - a dash for people
    assert "1 behind" in result.stderr  # people who look at the job see as much


def test_the_page_needs_nothing_and_runs_nothing_else(manifests: Manifests) -> None:
    page = _Page(status(manifests.repo, "--output", "html").stdout)
    attributes = [(tag, name, value or "") for tag, found in page.tags for name, value in found.items()]
    assert [one for one in attributes if one[1].startswith("on") or one[1] == "style"] == []
    assert [one for one in attributes if one[1] in ("src", "srcset", "action", "data")] == []
    assert [value for _, name, value in attributes if name == "href" and not value.startswith("data:")] == []
    [policy] = [found["content"] for tag, found in page.tags if tag == "meta" and "http-equiv" in found]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_a_run_that_fails_leaves_no_page(tmp_path: Path) -> None:
    repo = repos.make_repo(tmp_path / "deploy.git", {"a.yaml": "a: b\n"})
    result = run_promoter("status", "--manifest-repo", str(repo), "--output", "html")
    assert (result.code, result.stdout) == (3, "")
    assert "error: the manifest repository has no .promoter.yaml" in result.stderr


@pytest.mark.parametrize("hostile", [HOSTILE, "\x1b[31m\u202e", "]]>--><!--"])
def test_what_others_wrote_is_only_text(tmp_path: Path, hostile: str) -> None:
    made = Manifests(tmp_path / "deploy.git")
    made.set("dev", ago=DAYS, api="1.0")
    made.commit({".promoter/holds/dev/api": f"reason: {hostile}\n"}, HOURS)
    document = board(made.repo)
    assert cells(document)["api", "dev"]["hold"] is not None
    plain, page = status(made.repo).stdout, status(made.repo, "--output", "html").stdout
    assert all(character.isprintable() or character == "\n" for character in plain)
    parsed = _Page(page)
    assert {tag for tag, _ in parsed.tags} & {"img"} == set()
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    held = document["board"]["rows"][0]["cells"][0]["hold"]["reason"]
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in held)
    assert " ".join(parsed.rows[1][1].split()).endswith(f" held {shown}")
    assert f"dev: api is held: {shown}\n" in plain


def test_secrets_are_on_no_board(manifests: Manifests) -> None:
    secret = "canary-77e0a1c4"
    manifests.commit({".promoter/holds/dev/api": f"reason: {secret}\n"}, HOURS)
    for form in ("text", "json", "html"):
        result = status(manifests.repo, "--output", form, env={"PROMOTER_TOKEN": secret})
        assert secret not in result.stdout + result.stderr
        assert "***" in result.stdout
