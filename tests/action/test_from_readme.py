"""README and the pages that it links to, taken at their word: what they say to paste, run by act.

Only addresses and tokens are others than on the page.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.action.conftest import CANARY, FILE, GitHub, kustomization
from tests.action.test_act import failing
from tests.forges.github_double import GitHubDouble
from tests.support.act import ROOT, USES, ActBench, ActRun
from tests.support.gitserver import GitServer, Proxy
from tests.support.tls import make_ca

PRODUCTION = FILE.replace("staging", "production")
JOB_TOKEN = "ghs_canary3c85e1b7"  # of the repository that the workflow runs in
# The build, as far as README's step asks for it.
BUILD = {"id": "build", "run": 'echo "tag=$GITHUB_SHA" >>"$GITHUB_OUTPUT"'}
# Which files of the job hold a token, or what is planted to be found; none of these patterns finds itself.
LOOK = {
    "if": "always()",
    "env": {"SOUGHT": "\n".join(f"[{text[0]}]{text[1:]}" for text in (CANARY, JOB_TOKEN, "planted-here"))},
    "run": """\
printf planted-%s here >../planted
grep -rl -e "$SOUGHT" .. >"$LEFT/holding"
""",
}


def pasted(page: str) -> dict[str, Any]:
    """The step with the action that a page says to paste."""
    text = (ROOT / page).read_text(encoding="utf-8")
    [block] = [
        one for one in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if USES in one
    ]
    [step] = yaml.safe_load(block)
    found: dict[str, Any] = step
    return found


def in_readme(github: GitHub, name: str = "promote", **inputs: str) -> dict[str, Any]:
    """README's step for this manifest repository; an input that is given empty is left out."""
    step = pasted("README.md")
    assert step["with"]["manifest-repo"] == "https://github.com/acme/deploy"
    given = step["with"] | {"manifest-repo": github.url} | inputs
    return {**step, "id": name, "with": {key: text for key, text in given.items() if text}}


@contextmanager
def manifests(folder: Path, bench: ActBench, tls: tuple[Path, Path] | None = None) -> Iterator[GitHub]:
    """A manifest repository without a configuration, as the first steps find it."""
    with GitHubDouble(folder, tls=tls) as double:
        repo = double.add_repository("manifests", {PRODUCTION: kustomization("1.0.0")})
        double.issue_token(CANARY)
        yield GitHub(double, repo, bench)


def error(run: ActRun, step: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.outputs(step)["outcome"])["error"]
    return found


def messages(run: ActRun) -> list[str]:
    """The annotations of the job."""
    return [line for line in run.log.splitlines() if "::error" in line]


def assert_proposed(github: GitHub, run: ActRun) -> None:
    built = run.outputs("build")["tag"]
    [pull] = github.repo.pulls.values()
    assert github.read(PRODUCTION, pull.branch) == kustomization(built)
    assert github.read(PRODUCTION) == kustomization("1.0.0")
    assert run.outputs()["pull-request-url"].endswith(f"/acme/manifests/pull/{pull.number}")


def test_the_ten_lines_open_a_pull_request(tmp_path: Path, bench: ActBench) -> None:
    with manifests(tmp_path / "github", bench) as github:
        run = github.run(BUILD, in_readme(github))
        assert run.code == 0, run.log
        assert messages(run) == []
        assert_proposed(github, run)
        assert f"]({run.outputs()['pull-request-url']})" in run.summary


def test_behind_a_private_ca_and_a_proxy_and_no_token_goes_astray(tmp_path: Path, bench: ActBench) -> None:
    """The workflow runs on another host than the manifests are on; each request of the steps is seen."""
    ca, *tls = make_ca(tmp_path / "tls")
    with (
        manifests(tmp_path / "github", bench, (tls[0], tls[1])) as github,
        GitServer(tmp_path / "home") as home,
        Proxy() as proxy,
    ):
        said = pasted("docs/how-to/private-ca-and-proxy.md")["env"]
        assert set(said) == {"GIT_SSL_CAINFO", "HTTPS_PROXY"}
        env = {"GIT_SSL_CAINFO": str(ca), "HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url}
        untrusting = {name: text for name, text in env.items() if name != "GIT_SSL_CAINFO"}
        talkative = {"report-dir": "reports", "debug": "true"}
        run = github.run(
            BUILD,
            failing({**in_readme(github, "untrusting", **talkative), "env": untrusting}),
            {**in_readme(github, **talkative), "env": env},
            LOOK,
            env={"GITHUB_SERVER_URL": home.url, "GITHUB_API_URL": f"{home.url}/api/v3"},
            secrets={"GITHUB_TOKEN": JOB_TOKEN},
        )
        assert run.code == 0, run.log
        assert_proposed(github, run)
        assert set(proxy.targets) == {f"127.0.0.1:{github.double.port}"}
        assert home.requests == []
    assert error(run, "untrusting")["exit"] == 9
    assert len(messages(run)) == 1
    assert "certificate" in error(run, "untrusting")["message"]
    assert "GIT_SSL_CAINFO" in error(run, "untrusting")["next"]

    assert (run.workspace / "reports").is_dir()
    assert (run.workspace.parent / "holding").read_text().splitlines() == ["../planted"]
    assert JOB_TOKEN not in run.log + run.summary + str(run.steps)
    # act masks what it is told of; nothing else than the telling had to be.
    assert {line.partition("]")[2].strip() for line in run.log.splitlines() if "***" in line} == {"⚙  ***"}


def test_a_token_that_is_not_enough_ends_in_one_message(tmp_path: Path, bench: ActBench) -> None:
    """The first has none but the job's own, which is another repository's."""
    may = {"proposes": {"contents": "read", "pull_requests": "write"}, "pushes": {"contents": "write"}}
    with manifests(tmp_path / "github", bench) as github:
        github.double.add_repository("other", {PRODUCTION: kustomization("1.0.0")})
        other = {"manifest-repo": f"{github.double.url}/acme/other"}
        steps = [in_readme(github, "own", token="")]
        for name, permissions in may.items():
            github.double.issue_token(f"ghp_{name}77c1", kind="personal access token", **permissions)
            steps.append(in_readme(github, name, token=f"ghp_{name}77c1", **other))
        run = github.run(*map(failing, steps), secrets={"GITHUB_TOKEN": JOB_TOKEN})
        assert [error(run, step["id"])["exit"] for step in steps] == [8] * len(steps), run.log
        assert len(messages(run)) == len(steps)
        asked = [request for request in github.double.requests if "/acme/manifests" in request.path]
        assert [request for request in asked if request.authorization] == []
        assert asked
        assert not github.repo.pulls

    own = error(run, "own")
    assert github.url in own["message"]
    assert all(
        text in own["next"] for text in ("PROMOTER_TOKEN", "input token", "GITHUB_TOKEN is for acme/api")
    )
    assert "Pull requests: write" in error(run, "pushes")["next"]
    assert "Contents: write" in error(run, "proposes")["next"]
    assert JOB_TOKEN not in run.log + run.summary
