"""What CI systems are told, by files and by commands, and that text of others stays text there.

The readers here are written from the vendors' descriptions, not from promoter's writers: GitHub's
"Workflow commands for GitHub Actions" with the runner's source, GitLab's "dotenv variables".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from markdown_it import MarkdownIt

from promoter.outcome import Change, Outcome, PullRequestReport
from promoter.report import github, gitlab, step_summary
from tests.support import manifests, repos
from tests.support.cli import run_promoter
from tests.support.manifests import FILE
from tests.support.webserver import Answer, serving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.cli import Result

API = "ghcr.io/acme/api"
ONE_LINE = [
    "changed",
    "status",
    "reason",
    "commit-sha",
    "pull-request-number",
    "pull-request-url",
    "pull-request-operation",
    "pull-request-branch",
]
OUTPUTS = [*ONE_LINE, "pull-requests", "outcome"]


# --- readers


@dataclass
class Command:
    """A workflow command as the runner takes it."""

    name: str
    data: str
    properties: dict[str, str] = field(default_factory=dict)


def commands(text: str) -> list[Command]:
    """Every command in a stream: `::name k=v::data` at a line's start, `##[name k=v]data` anywhere."""
    found = []
    for line in re.split(r"\r\n|\r|\n", text):
        if line.lstrip().startswith("::") and (head := line.lstrip()[2:].partition("::"))[1]:
            name, _, properties = head[0].partition(" ")
            found.append(Command(name, _unescaped(head[2]), _properties(properties, ",")))
        elif match := re.search(r"##(?:vso|teamcity)?\[([^\]]*)\](.*)", line):
            name, _, properties = match[1].partition(" ")
            found.append(Command(name, match[2], _properties(properties, ";")))
    return found


def _properties(text: str, separator: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.strip().split(separator) if "=" in pair)
    return {key: _unescaped(value).replace("%3A", ":").replace("%2C", ",") for key, _, value in pairs}


def _unescaped(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def read_outputs(path: Path) -> dict[str, str]:
    """The outputs that a step has set; a later value replaces an earlier one."""
    found = {}
    lines = path.read_bytes().decode("utf-8").split("\n")
    assert lines.pop() == "", "the last line is open: what comes next would be a part of it"
    rest = iter(lines)
    for line in rest:
        if not line:
            continue
        name, heredoc, mark = line.partition("<<")
        if "=" in name or not heredoc:
            name, equals, value = line.partition("=")
            assert equals, f"invalid format: {line}"
            found[name] = value
            continue
        assert name, line
        assert mark, line
        value_lines = []
        while (value_line := next(rest)) != mark:
            value_lines.append(value_line)
        found[name] = "\n".join(value_lines)
    return found


def read_dotenv(path: Path) -> dict[str, str]:
    """A dotenv report by GitLab's rules: none of the lines may be another thing than a variable."""
    data = path.read_bytes()
    assert len(data) < 5 * 1024
    found = {}
    for line in data.decode("utf-8").split("\n")[:-1]:
        match = re.fullmatch(r"([A-Za-z0-9_]+)=([^\s'\"$`\\;|<>()*{}\[\]!]*)", line)
        assert match, f"no variable, or one that a shell or GitLab would expand: {line!r}"
        assert match[1] not in found
        found[match[1]] = match[2]
    assert len(found) <= 20  # what the smallest plan allows
    return found


def rendered(markdown: str) -> tuple[str, set[str]]:
    """A summary's visible text, and the kinds of what is in it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    text = "\n".join(one.content for one in [*tokens, *inline] if not one.children and one.content)
    return text.replace("\u2060", ""), {one.type for one in [*tokens, *inline]}


HARMLESS = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "code_inline"),
    *("strong_open", "strong_close", "softbreak", "bullet_list_open", "bullet_list_close"),
    *("list_item_open", "list_item_close", "fence"),
    *(f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")),
}


# --- a bench


@dataclass
class Step:
    """A step of a workflow: its files, and what it left in them."""

    folder: Path

    def __post_init__(self) -> None:
        self.output.touch()
        self.summary.touch()

    @property
    def output(self) -> Path:
        return self.folder / "set_output"

    @property
    def summary(self) -> Path:
        return self.folder / "step_summary"

    @property
    def env(self) -> dict[str, str]:
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }

    def run(self, *args: str, env: Mapping[str, str] | None = None, **settings: Any) -> Result:
        return run_promoter(*args, env={**self.env, **(env or {})}, **settings)

    @property
    def outputs(self) -> dict[str, str]:
        return read_outputs(self.output)


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return manifests.make(tmp_path / "deploy.git", {"api": "1.0.0"})


def bump_of(repo: Path, tag: str = "1.1.0", *more: str) -> list[str]:
    where = ("--manifest-repo", str(repo), "--path", manifests.FOLDER)
    return ["bump", "--image", f"{API}:{tag}", *where, *more]


# --- GitHub: outputs


def test_outputs_of_a_push(step: Step, repo: Path) -> None:
    result = step.run(*bump_of(repo, "1.1.0", "--output", "json"))
    told = step.outputs
    assert list(told) == OUTPUTS
    assert json.loads(told["outcome"]) == result.document
    assert {name: told[name] for name in ONE_LINE[:4]} == {
        "changed": "true",
        "status": "promoted",
        "reason": "changed",
        "commit-sha": repos.resolve(repo, "main"),
    }
    assert told["pull-requests"] == "[]"
    assert {told[name] for name in ONE_LINE[4:]} == {""}


def test_outputs_of_a_pull_request(step: Step, repo: Path) -> None:
    assert step.run(*bump_of(repo, "1.1.0", "--publish", "pull-request")).code == 0
    told = step.outputs
    branch = "promoter/envs-staging/api"
    assert (told["status"], told["changed"]) == ("proposed", "true")
    assert (told["pull-request-operation"], told["pull-request-branch"]) == ("created", branch)
    assert told["commit-sha"] == repos.resolve(repo, branch)
    [listed] = json.loads(told["pull-requests"])
    assert (listed["operation"], listed["branch"], listed["number"]) == ("created", branch, None)


@pytest.mark.parametrize("form", ["text", "json"])
def test_outputs_of_runs_that_fail(step: Step, repo: Path, form: str) -> None:
    absent = step.run(*bump_of(repo, "x", "--image", "ghcr.io/acme/absent:1", "--output", form))
    assert (absent.code, step.outputs["reason"], step.outputs["status"]) == (4, "image-not-found", "refused")
    usage = step.run(*bump_of(repo, "1.1.0", "--no-such-option", "--output", form))
    assert (usage.code, step.outputs["reason"], step.outputs["changed"]) == (2, "usage", "false")
    assert json.loads(step.outputs["outcome"])["error"]["exit"] == 2


def test_other_verbs_report_too(step: Step, repo: Path, tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text("a: [\n")
    assert step.run("validate", str(tmp_path), "--output", "sarif").code == 5
    assert step.outputs["status"] == "refused"
    [error, finding] = commands(step.run("validate", str(tmp_path), "--output", "sarif").stderr)
    assert (error.name, finding.name, finding.properties["file"]) == ("error", "error", "api.yaml")
    assert step.run("scan", "--manifest-repo", str(repo)).code == 0
    assert json.loads(step.outputs["outcome"])["verb"] == "scan"
    assert f"{FILE}:4" in rendered(step.summary.read_text())[0]


def test_what_another_program_left_open_is_closed_first(step: Step, repo: Path) -> None:
    step.output.write_text("theirs=1")
    step.summary.write_text("| a |\n| - |\n| b |")
    step.run(*bump_of(repo))
    assert step.outputs["theirs"] == "1"
    assert step.outputs["status"] == "promoted"
    assert "heading_open" in rendered(step.summary.read_text())[1]


def test_only_on_github(step: Step, repo: Path) -> None:
    result = step.run(*bump_of(repo), env={"GITHUB_ACTIONS": ""})
    assert result.code == 0
    assert (step.output.read_bytes(), step.summary.read_bytes(), result.stderr) == (b"", b"", "")


def test_an_output_that_is_too_long_is_left_out(step: Step, tmp_path: Path) -> None:
    """GitHub takes 1 MB: without the document the others still come."""
    files: dict[str, repos.Content] = {
        f"envs/{'x' * 200}-{n:04}/a.yaml": f"image: {API}:1.0.0\n" for n in range(1500)
    }
    repo = repos.make_repo(tmp_path / "big.git", files)
    result = step.run("scan", "--manifest-repo", str(repo), "--output", "json", "--report-dir", str(tmp_path))
    told = step.outputs
    assert (told["status"], "outcome" in told) == ("unchanged", False)
    assert step.output.stat().st_size < 1_000_000
    assert [one["code"] for one in result.document["warnings"]] == ["ci-report"]
    assert len(json.loads((tmp_path / "promotion.json").read_text())["sites"]) == 1500
    assert 0 < step.summary.stat().st_size < 1024 * 1024


def test_a_summary_without_room(step: Step, repo: Path) -> None:
    full = "x" * (1024 * 1024 - 10) + "\n"
    step.summary.write_text(full)
    result = step.run(*bump_of(repo, "1.1.0", "--output", "json"))
    assert (result.code, step.summary.read_text()) == (0, full)
    assert [one["code"] for one in result.document["warnings"]] == ["ci-report"]


@pytest.mark.parametrize("name", ["set_output", "step_summary"])
def test_a_file_that_cannot_be_written_fails_nothing(step: Step, repo: Path, name: str) -> None:
    path = step.folder / name
    path.unlink()
    path.mkdir()
    result = step.run(*bump_of(repo, "1.1.0", "--output", "json"))
    assert (result.code, manifests.status(result)) == (0, "promoted")
    [warning] = result.document["warnings"]
    assert (warning["code"], warning["file"]) == ("ci-report", str(path))
    assert manifests.tags(repo)["api"] == "1.1.0"


# --- GitHub: the summary and the annotations


def test_summary_of_a_push(step: Step, repo: Path) -> None:
    step.run(*bump_of(repo))
    text, kinds = rendered(step.summary.read_text())
    assert "promoted" in text
    assert {f"{API}:1.0.0", f"{API}:1.1.0", f"{FILE}:4", "envs-staging", "api"} <= set(text.splitlines())
    assert kinds <= HARMLESS


def test_summary_and_annotation_of_an_error(step: Step, repo: Path) -> None:
    result = step.run("bump", "--manifest-repo", str(repo), "--env", "staging", "--image", f"{API}:1.1.0")
    error = re.search(r"^error: (.*)\n  next: (.*)$", result.stderr, re.MULTILINE)
    assert error
    text, _ = rendered(step.summary.read_text())
    assert {error[1], error[2]} <= set(text.splitlines())
    [told] = commands(result.stderr)
    assert (told.name, told.properties["title"]) == ("error", "promoter bump")
    assert told.data == f"{error[1]}\nnext: {error[2]}"


def test_annotations_of_findings(step: Step, tmp_path: Path) -> None:
    """At most ten errors and ten warnings a step, which is what GitHub shows."""
    deployment = "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: two}\n"
    for number in range(12):
        (tmp_path / f"a,{number:02}:%.yaml").write_text(deployment)
    result = step.run("validate", str(tmp_path), "--output", "json")
    told = commands(result.stderr)
    assert [one.name for one in told] == ["error"] * 10
    assert told[0].properties["title"] == "promoter validate"
    findings = {(one["file"], str(one["line"])) for one in result.document["findings"]}
    assert len(findings) == 12
    assert {(one.properties["file"], one.properties["line"]) for one in told[1:]} <= findings


def test_annotations_do_not_touch_the_document(step: Step, repo: Path) -> None:
    result = step.run(*bump_of(repo, "1.1.0", "--env", "staging", "--output", "json"))
    assert result.document["error"]["exit"] == 2
    assert [one.name for one in commands(result.stderr)] == ["error"]
    assert commands(result.stdout) == []


# --- GitLab, and any other


@pytest.mark.parametrize("env", [{"GITLAB_CI": "true"}, {}], ids=["gitlab", "elsewhere"])
def test_report_files(repo: Path, tmp_path: Path, env: dict[str, str]) -> None:
    folder = tmp_path / "new/reports"
    result = run_promoter(*bump_of(repo, "1.1.0", "--report-dir", str(folder), "--output", "json"), env=env)
    assert sorted(path.name for path in folder.iterdir()) == [
        "gl-code-quality-report.json",
        "promotion.env",
        "promotion.json",
    ]
    told = read_dotenv(folder / "promotion.env")
    assert list(told) == [f"PROMOTION_{name.upper().replace('-', '_')}" for name in ONE_LINE]
    assert told["PROMOTION_COMMIT_SHA"] == repos.resolve(repo, "main")
    assert (told["PROMOTION_STATUS"], told["PROMOTION_CHANGED"]) == ("promoted", "true")
    assert json.loads((folder / "promotion.json").read_text()) == result.document
    assert json.loads((folder / "gl-code-quality-report.json").read_text()) == []


def test_report_files_of_runs_that_fail(repo: Path, tmp_path: Path) -> None:
    env = {"PROMOTER_REPORT_DIR": str(tmp_path)}
    assert run_promoter(*bump_of(repo, "1.1.0", "--nonsense"), env=env).code == 2
    assert read_dotenv(tmp_path / "promotion.env")["PROMOTION_REASON"] == "usage"
    assert run_promoter(*bump_of(repo, "1.1.0"), env=env).code == 0
    assert read_dotenv(tmp_path / "promotion.env")["PROMOTION_REASON"] == "changed"
    (tmp_path / "w").mkdir()
    (tmp_path / "w/a.yaml").write_text("a: [\n")
    assert run_promoter("validate", str(tmp_path / "w"), env=env).code == 5
    [issue] = json.loads((tmp_path / "gl-code-quality-report.json").read_text())
    assert issue["location"]["path"] == "a.yaml"


def test_a_link_of_a_report_is_not_followed(repo: Path, tmp_path: Path) -> None:
    """A checkout may hold one that leads to a file of the machine's."""
    theirs, folder = tmp_path / "theirs", tmp_path / "reports"
    folder.mkdir()
    theirs.write_text("keep\n")
    (folder / "promotion.env").symlink_to(theirs)
    assert run_promoter(*bump_of(repo, "1.1.0", "--report-dir", str(folder))).code == 0
    assert theirs.read_text() == "keep\n"
    assert read_dotenv(folder / "promotion.env")["PROMOTION_STATUS"] == "promoted"


def test_a_report_directory_that_is_none(repo: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    result = run_promoter(*bump_of(repo, "1.1.0", "--report-dir", str(file)))
    assert result.code == 0
    assert result.stderr.count("warning: ") == 3
    assert manifests.tags(repo)["api"] == "1.1.0"


SECTION = re.compile(rb"\x1b\[0Ksection_(start|end):([0-9]+):([A-Za-z0-9_.-]+)\r\x1b\[0K")


def test_sections_fold_on_gitlab(repo: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for env in ({"GITLAB_CI": "true"}, {}):
        with log.open("wb") as stdout:  # a pipe's carriage returns would be read as line ends
            assert run_promoter(*bump_of(repo, "1.1.0", "--dry-run"), env=env, stdout=stdout).code == 0
        text = log.read_bytes()
        marks = [(match[1], match[3], match.span()) for match in SECTION.finditer(text)]
        inside = [
            text[start[1] : end[0]]
            for (one, name, start), (other, same, end) in pairwise(marks)
            if (one, other) == (b"start", b"end") and name == same
        ]
        assert any(b"\n+  - {name: ghcr.io/acme/api" in section for section in inside) == bool(env)
        assert (b"section_" in text) == bool(env)


PULL_REQUEST = PullRequestReport(
    12, "https://gitlab.example.com/a/-/merge_requests/12", "created", "promoter/a/b"
)


def test_the_pull_request_is_linked_last() -> None:
    outcome = Outcome("bump", "proposed", "changed", commit_sha="a" * 40, pull_requests=(PULL_REQUEST,))
    assert gitlab.links(outcome) == f"pull request: {PULL_REQUEST.url}\n"
    odd = replace(PULL_REQUEST, url="javascript:x\n::error::pwned")
    assert "\n::" not in gitlab.links(replace(outcome, pull_requests=(odd,)))


VALUES = ["", "x", "a\nEOF\nb=1", "x\n\n", "c<<EOF\nd\nEOF", "promoter-0\npromoter-1", "=", "\r\n", "ü\ud800"]


@pytest.mark.parametrize("value", VALUES)
def test_outputs_of_several_lines(tmp_path: Path, value: str) -> None:
    file = tmp_path / "set_output"
    told = {"first": value, "second": "2"}
    file.write_bytes(github.outputs(told).encode("utf-8", "replace"))
    assert read_outputs(file) == {"first": value.replace("\ud800", "?"), "second": "2"}


def test_delimiters_are_not_to_be_guessed() -> None:
    texts = [github.outputs({"a": "1", "b": "1"}) for _ in range(2)]
    marks = [line.partition("<<")[2] for text in texts for line in text.splitlines() if "<<" in line]
    assert len(set(marks)) == len(marks) == 4
    assert all(len(mark) >= 32 for mark in marks)


VARIABLES = [
    "$(id)",
    "$CI_JOB_TOKEN",
    "a b",
    "a\nPATH=x",
    "'x'",
    '"x"',
    "`id`",
    "a\\b",
    "x" * 5000,
    "\x1b[31m",
    "#é",
]


@pytest.mark.parametrize("value", VARIABLES)
def test_values_that_would_mean_more_in_a_later_job_are_left_empty(tmp_path: Path, value: str) -> None:
    file = tmp_path / "promotion.env"
    file.write_text(gitlab.dotenv({"status": "promoted", "pull-request-branch": value}))
    assert read_dotenv(file) == {"PROMOTION_STATUS": "promoted", "PROMOTION_PULL_REQUEST_BRANCH": ""}


def test_a_dotenv_report_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "promotion.env"
    values = dict.fromkeys(ONE_LINE, "x" * 40) | dict.fromkeys(ONE_LINE[-3:-1], "x" * 1000)
    file.write_text(gitlab.dotenv(values))
    assert set(read_dotenv(file).values()) == {"x" * 40, "x" * 1000}


@pytest.mark.parametrize(
    ("url", "is_link"), [("https://github.com/acme/deploy/pull/7", True), ("javascript:alert(1)", False)]
)
def test_links_of_a_summary(url: str, is_link: bool) -> None:
    report = replace(PULL_REQUEST, url=url)
    outcome = Outcome("bump", "proposed", "changed", commit_sha="a" * 40, pull_requests=(report,))
    _, kinds = rendered(step_summary.render(outcome, 10_000))
    assert ("link_open" in kinds) == is_link


def test_a_summary_is_shortened_until_it_fits() -> None:
    changes = tuple(
        Change("staging", "api", API, f"a/{n}.yaml", n, f"{API}:1", f"{API}:2", "promoted")
        for n in range(500)
    )
    outcome = Outcome("bump", "promoted", "changed", changes=changes)
    whole = step_summary.render(outcome, 1_000_000)
    short = step_summary.render(outcome, 4_000)
    assert len(short.encode()) <= 4_000 < len(whole.encode())
    assert "and 490 more changes" in short
    assert step_summary.render(outcome, 10) == ""


# --- text that others wrote

# Names of files and directories, which any contributor chooses, and a text in a file.
HOSTILE = [
    "::error file=a,line=1::pwned",
    "::set-output name=changed::pwned",
    "x ##[set-output name=changed]pwned",
    "##vso[task.setvariable variable=a]pwned",
    "%0A::error::pwned%0D",
    "$(touch pwned)`touch pwned`",
    "<script>alert(1)<!-- x",
    "[a](https:x) ![b](c) | @all #1 *a* _b_",
    "a\"b'c\\d",
    "-rf",
    "a\n::error::pwned",
    "a\r::error::pwned",
    "outcome<<EOF",
    "\u202etxt.\x1b[31m",
]
CONTAINER = """\
kind: Thing
text: |
  {text}
image: {image}
other: |
  {text}
"""


def spoilt(tmp_path: Path, text: str) -> Path:
    """A manifest repository with the text in a directory's name and beside the image."""
    line = "".join(one if one.isprintable() else " " for one in text)
    content = CONTAINER.format(text=line, image=f"{API}:1.0.0")
    return repos.make_repo(tmp_path / "deploy.git", {f"envs/staging/{text}/a.yaml": content})


def assert_nothing_injected(step: Step, result: Result, allowed: tuple[str, ...] = ()) -> None:
    """Commands are promoter's own; outputs and summary hold what they should and nothing else."""
    assert commands(result.stdout) == []
    told = commands(result.stderr)
    assert {one.name for one in told} <= set(allowed), told
    assert all(one.properties["title"].startswith("promoter") for one in told), told
    assert list(step.outputs) == OUTPUTS
    assert "pwned" not in step.outputs.values()
    text, kinds = rendered(step.summary.read_text())
    assert kinds <= HARMLESS, text
    assert not (step.folder / "pwned").exists()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_contents(step: Step, tmp_path: Path, text: str, form: str) -> None:
    repo = spoilt(tmp_path, text)
    args = bump_of(repo, "1.1.0", "--output", form, "-v", "--report-dir", str(tmp_path / "r"))
    result = step.run(*args, cwd=tmp_path)
    assert (result.code, step.outputs["status"]) == (0, "promoted"), result
    assert_nothing_injected(step, result)
    assert read_dotenv(tmp_path / "r/promotion.env")["PROMOTION_STATUS"] == "promoted"
    [change] = json.loads(step.outputs["outcome"])["changes"]
    assert change["file"] == f"envs/staging/{text}/a.yaml"  # nothing is lost where it is data
    if form == "json":
        assert result.document == json.loads(step.outputs["outcome"])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_findings(step: Step, tmp_path: Path, text: str) -> None:
    """A finding quotes the key that it is about, and names the file."""
    work = tmp_path / "work"
    (work / text).mkdir(parents=True)
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {text: 1}}
    (work / text / "a.json").write_text(json.dumps(document))
    result = step.run("validate", str(work), cwd=tmp_path)
    assert (result.code, step.outputs["reason"]) == (5, "invalid"), result
    assert_nothing_injected(step, result, ("error",))


@pytest.mark.parametrize("text", [one for one in HOSTILE if one.isprintable()])
def test_hostile_arguments(step: Step, repo: Path, tmp_path: Path, text: str) -> None:
    """The app, the reason of an override, who runs it, and an image that is none."""
    told = (f"--app={text}", f"--actor={text}", f"--source={text}", f"--run-url={text}")
    result = step.run(*bump_of(repo, "1.1.0", *told), cwd=tmp_path)
    assert result.code == 0, result
    assert_nothing_injected(step, result)
    step.output.write_bytes(b"")
    result = step.run(*bump_of(repo, text), cwd=tmp_path)
    assert result.code == 2
    assert_nothing_injected(step, result, ("error",))


@pytest.mark.parametrize("text", [one for one in HOSTILE if one.isprintable()])
def test_a_hostile_branch(step: Step, repo: Path, tmp_path: Path, text: str) -> None:
    result = step.run(*bump_of(repo, "1.1.0", f"--app={text}", "--publish", "pull-request"), cwd=tmp_path)
    assert (result.code, step.outputs["status"]) == (0, "proposed"), result
    assert_nothing_injected(step, result, ("warning",))
    assert re.fullmatch(r"promoter/envs-staging/[A-Za-z0-9.-]+", step.outputs["pull-request-branch"])


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_hostile_hook(step: Step, repo: Path, form: str) -> None:
    """What a server says in a refusal is quoted, by --debug in full."""
    hook = repo / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    lines = "\n".join(["::error::pwned", "x ##[add-mask]a", "  ::stop-commands::x", "::set-output name=a::b"])
    hook.write_text(f"#!/bin/sh\ncat <<'EOF' >&2\n{lines}\nEOF\nexit 1\n")
    hook.chmod(0o755)
    result = step.run(*bump_of(repo, "1.1.0", "--output", form, "--debug", "--deadline", "20"))
    assert result.code == 8, result
    assert "pwned" in result.stderr
    assert_nothing_injected(step, result, ("error",))


@pytest.mark.parametrize("text", ["##vso[task.setvariable variable=a]pwned", "##[error]pwned"])
def test_azure_takes_no_commands_either(tmp_path: Path, text: str) -> None:
    repo = spoilt(tmp_path, text)
    for form in ("text", "json"):
        result = run_promoter(
            *bump_of(repo, "1.1.0", "--dry-run", "--output", form), env={"TF_BUILD": "True"}
        )
        assert result.code == 0
        assert commands(result.stdout + result.stderr) == []


def test_text_stays_as_it_is_elsewhere(tmp_path: Path) -> None:
    result = run_promoter(*bump_of(spoilt(tmp_path, "##[error]x"), "1.1.0", "--dry-run"))
    assert "##[error]x" in result.stdout


def test_secrets_reach_no_report(step: Step, repo: Path, tmp_path: Path) -> None:
    canary = "canary-5e1f00d"
    args = bump_of(repo, "1.1.0", f"--app={canary}", "--report-dir", str(tmp_path / "r"))
    result = step.run(*args, env={"PROMOTER_TOKEN": canary})
    assert result.code == 0
    assert result.stdout
    written = [step.output, step.summary, *(tmp_path / "r").iterdir()]
    assert all(canary not in path.read_text() for path in written)
    assert canary not in result.stdout + result.stderr


ACCESS = "POST /app/installations/77/access_tokens"


def test_a_token_that_the_run_obtained_is_masked_for_the_rest_of_the_job(step: Step) -> None:
    """The runner knows the secrets of the workflow, not what became of one."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    token = "ghs_canary%of:the,installation"
    permissions = {"contents": "write", "pull_requests": "write", "metadata": "read", "statuses": "write"}
    installation = {"id": 77, "app_slug": "promoter", "permissions": permissions, "suspended_at": None}
    routes = {
        "GET /repos/acme/deploy/installation": Answer(200, installation),
        ACCESS: Answer(201, {"token": token, "expires_at": "2030-01-01"}),
    }
    env = {"PROMOTER_APP_ID": "1", "PROMOTER_APP_PRIVATE_KEY": key.decode()}
    with serving(routes) as server:
        where = ("--manifest-repo", f"{server.url}/acme/deploy", "--forge-api", server.url, "--debug")
        args = ("bump", *where, "--path", ".", "--image", f"{API}:1.1.0", "--deadline", "20")
        result = step.run(*args, env={**env, "GITHUB_SERVER_URL": server.url})
    assert [one.path for one in server.asked if one.method == "POST"] == [ACCESS.partition(" ")[2]], result
    [mask] = [one for one in commands(result.stderr) if one.name == "add-mask"]
    assert mask.data == token
    others = [line for line in result.stderr.splitlines() if not line.startswith("::add-mask::")]
    assert token not in result.stdout + "\n".join(others) + step.output.read_text() + step.summary.read_text()
