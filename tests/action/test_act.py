"""The real action.yml, run by act: what it does, and what it leaves for the steps that follow."""

import json
import re
from typing import Any

from tests.action.conftest import CANARY, FILE, IMAGE, GitHub, kustomization
from tests.support import repos
from tests.support.act import ActRun

PRODUCTION = FILE.replace("staging", "production")
PULL_REQUEST_OUTPUTS = ("number", "url", "operation", "branch")


def pull_request(run: ActRun, step: str = "promote") -> dict[str, str]:
    outputs = run.outputs(step)
    return {name: outputs[f"pull-request-{name}"] for name in PULL_REQUEST_OUTPUTS}


def exit_codes(run: ActRun) -> list[int]:
    """Of the programs that failed, in their order; act repeats that of an inner step for the outer one."""
    return [int(code) for code in re.findall(r"exit status (\d+)", run.log)][::2]


def failing(step: dict[str, Any], **also: str) -> dict[str, Any]:
    return {**step, "continue-on-error": True, **also}


def test_a_push_lands_and_tells_the_next_steps(github: GitHub) -> None:
    bump = github.step(environment="staging", image=f"{IMAGE}:1.1.0")
    run = github.run(bump, {**bump, "id": "again"})
    assert run.code == 0, run.log
    assert github.read() == kustomization("1.1.0")

    outputs = run.outputs()
    assert (outputs["changed"], outputs["status"]) == ("true", "promoted")
    assert outputs["commit-sha"] == github.tip
    assert pull_request(run) == dict.fromkeys(PULL_REQUEST_OUTPUTS, "")
    outcome = json.loads(outputs["outcome"])
    assert outcome["commit_sha"] == github.tip
    assert [change["after"] for change in outcome["changes"]] == [f"{IMAGE}:1.1.0"]

    again = run.outputs("again")
    assert (again["changed"], again["status"]) == ("false", "unchanged")
    assert all(text in run.summary for text in (FILE, "1.0.0", "1.1.0"))

    [commit] = [one for one in repos.log(github.repo.git, "main") if "Promoter-Id" in one.trailers]
    assert commit.trailers["Promoter-Order"][0].endswith("acme/api:test.yml#7")
    assert commit.trailers["Promoter-Run"][0].startswith(f"{github.double.url}/acme/api/actions/runs/")


def test_a_pull_request_is_opened_and_updated(github: GitHub) -> None:
    first = github.step(environment="staging", publish="pull-request", image=f"{IMAGE}:1.1.0")
    second = github.step(environment="staging", publish="pull-request", image=f"{IMAGE}:1.2.0")
    run = github.run(first, {**second, "id": "newer"})
    assert run.code == 0, run.log

    [pull] = github.repo.pulls.values()
    created = pull_request(run)
    assert created["operation"] == "created"
    assert created["number"] == str(pull.number)
    assert created["url"].endswith(f"/acme/manifests/pull/{pull.number}")
    assert pull_request(run, "newer") == created | {"operation": "updated"}
    assert run.outputs("newer")["status"] == "proposed"
    [listed] = json.loads(run.outputs("newer")["pull-requests"])
    assert (listed["number"], listed["branch"]) == (pull.number, created["branch"])

    assert github.read(rev=created["branch"]) == kustomization("1.2.0")
    assert github.read() == kustomization("1.0.0")
    assert f"pull request {pull.number}" in run.summary


def test_several_images_and_values_of_every_kind(github: GitHub) -> None:
    two = "- image: ghcr.io/acme/one:1.0.0\n- image: ghcr.io/acme/two:1.0.0\n"
    repos.commit_files(github.repo.git, {"apps/a b/ü.yaml": two, ".promoter.yaml": None}, "No configuration")
    several = github.step(
        cache="true",
        path="apps/a b\n",
        images="ghcr.io/acme/one:1.1.0\n\nghcr.io/acme/two:1.1.0\n",
        dry_run="false",
    )
    run = github.run(several, {**several, "id": "dry", "with": several["with"] | {"dry-run": "true"}})
    assert run.code == 0, run.log
    assert github.read("apps/a b/ü.yaml") == two.replace("1.0.0", "1.1.0")
    assert run.outputs("dry")["changed"] == "false"
    assert "Success - Main Restore the installed packages" in run.log


def test_the_other_verbs(github: GitHub) -> None:
    bumped = github.step(environment="staging", image=f"{IMAGE}:1.1.0")
    promote = github.step(command="promote", from_="staging", to="production")
    held = github.step(command="hold", environment="staging", app="api", reason="payments; fail && burn")
    refused = github.step(environment="staging", image=f"{IMAGE}:1.2.0")
    let_go = github.step(command="unhold", environment="staging", app="api")
    back = github.step(command="rollback", environment="staging", app="api", to="1.0.0")
    board = github.step(command="status", output="html", output_file="board.html")
    steps = {
        "bump": bumped,
        "promote": promote,
        "hold": held,
        "refused": failing(refused),
        "unhold": let_go,
        "rollback": back,
        "sync": github.step(command="sync"),
        "status": board,
    }
    run = github.run(*({**step, "id": name} for name, step in steps.items()))
    assert run.code == 0, run.log
    results = {name: run.outputs(name)["status"] for name in steps}
    assert results["promote"] == "proposed"
    assert results["refused"] == "refused"
    assert {results[name] for name in ("bump", "hold", "unhold", "rollback")} == {"promoted"}
    assert run.steps["refused"]["outcome"] == "failure"
    assert exit_codes(run) == [6]
    assert github.read() == kustomization("1.0.0")
    [pull] = github.repo.pulls.values()
    assert github.read(PRODUCTION, pull.branch) == kustomization("1.1.0")
    assert (run.workspace / "board.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_findings_are_annotations(github: GitHub) -> None:
    bad = {"run": "mkdir apps && printf 'apiVersion: v1\\nkind: Pod\\nspec: 3\\n' >apps/pod.yaml"}
    validate = github.step(
        command="validate", manifest_repo="", token="", path="apps", output_file="promoter.sarif"
    )
    validate["with"]["output"] = "sarif"
    run = github.run(bad, failing(validate))
    assert exit_codes(run) == [5]
    assert re.search(r"::error [^:]*file=apps/pod\.yaml,line=3", run.log)
    sarif = json.loads((run.workspace / "promoter.sarif").read_text(encoding="utf-8"))
    assert sarif["runs"][0]["results"]


def test_the_jobs_own_token_is_enough_for_its_own_repository(github: GitHub) -> None:
    step = github.step(token="", environment="staging", image=f"{IMAGE}:1.1.0")
    own = {"GITHUB_REPOSITORY": github.repo.full_name}
    run = github.run(step, env=own, secrets={"GITHUB_TOKEN": CANARY})
    assert run.code == 0, run.log
    assert github.read() == kustomization("1.1.0")


def test_the_jobs_own_token_goes_to_no_other_repository(github: GitHub) -> None:
    step = github.step(token="", environment="staging", image=f"{IMAGE}:1.1.0")
    run = github.run(failing(step), secrets={"GITHUB_TOKEN": CANARY})
    assert exit_codes(run) == [8]
    assert "PROMOTER_TOKEN" in run.log
    assert github.double.requests
    assert not any(request.authorization for request in github.double.requests)


def test_what_the_job_sets_itself_holds_where_an_input_is_empty(github: GitHub) -> None:
    own = {"PROMOTER_MANIFEST_REPO": github.url, "PROMOTER_ENV": "staging"}
    step = github.step(manifest_repo="", image=f"{IMAGE}:1.1.0")
    run = github.run({**step, "env": own})
    assert run.code == 0, run.log
    assert github.read() == kustomization("1.1.0")


def test_a_token_is_masked_in_what_other_steps_print(github: GitHub) -> None:
    """A token that is no secret of the workflow's: an earlier step made it."""
    made = {"id": "made", "run": f'echo "token={CANARY[:8]}""{CANARY[8:]}" >>"$GITHUB_OUTPUT"'}
    promote = github.step(
        token="${{ steps.made.outputs.token }}", environment="staging", image=f"{IMAGE}:1.1.0"
    )
    prints = {"env": {"TOKEN": "${{ steps.made.outputs.token }}"}, "run": 'echo "is $TOKEN"'}
    run = github.bench.run([made, promote, prints], env={"GITHUB_SERVER_URL": github.double.url})
    assert run.code == 0, run.log
    _, _, after = run.log.partition("Main Promote")
    assert "is ***" in after
    assert CANARY not in after
