"""`validate.commands`: what programs get, what they do not, and how findings are made of what they say."""

import json
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from promoter.config import Command
from promoter.deadline import Deadline
from promoter.errors import ConfigError, DeadlineError, UnreachableError
from promoter.validate.commands import MAX_OUTPUT, Inputs, Machine, run_commands
from promoter.validate.model import Finding, Report, SourceFile
from tests.support.programs import program

CANARY = "canary-7d1f0a"
DEPLOYMENT = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {}\n"
POLICY = b"""\
package main

deny contains msg if {
  input.kind == "Deployment"
  not input.spec.replicas
  msg := sprintf("Deployment %s has no replicas", [input.metadata.name])
}

warn contains msg if {
  input.kind == "Deployment"
  not input.metadata.labels
  msg := "no labels"
}
"""


class Files:
    """A tree of given files."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents = contents

    def paths(self) -> Sequence[str]:
        return list(self.contents)

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        return {path: self.contents[path] for path in paths if path in self.contents}


class Bench:
    """A PATH of its own on which a test writes the programs that it runs."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.tmp = root / "tmp"
        self.bin.mkdir()
        self.tmp.mkdir()
        self.environ = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.tmp),
            "PROMOTER_TOKEN": CANARY,
            "HOME": str(root),
            "HTTPS_PROXY": f"http://{CANARY}@proxy.example",
        }

    def script(self, text: str, name: str = "check") -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)

    def run(
        self,
        command: Command,
        files: Mapping[str, bytes],
        *,
        rendered: Mapping[str, bytes] | None = None,
        tree: Mapping[str, bytes] | None = None,
        checkout: Path | None = None,
        allowed: bool = True,
        seconds: float = 60,
    ) -> Report:
        changed = [SourceFile(*one) for one in files.items()]
        inputs = Inputs(
            changed, [SourceFile(*one) for one in (rendered or {}).items()], Files({**files, **(tree or {})})
        )
        machine = Machine(self.environ, Deadline(seconds), checkout)
        report = run_commands([command], inputs, machine, allowed=allowed)
        assert list(self.tmp.iterdir()) == []
        return report

    def findings(self, command: Command, files: Mapping[str, bytes], **more: Any) -> tuple[Finding, ...]:
        return self.run(command, files, **more).findings


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _check(**more: Any) -> Command:
    return Command("policy", ("check", "{files}"), **more)


A = {"envs/staging/a.yaml": b"a: 1\n"}
PATH_A = "envs/staging/a.yaml"


# --- the real conftest ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--output", "json"), ("--output", "sarif")])
def test_conftest(bench: Bench, arguments: tuple[str, ...]) -> None:
    (bench.bin / "conftest").symlink_to(program("conftest"))
    command = Command("policy", ("conftest", "test", *arguments, "{files}"), needs=("policy/**",))
    files = {"envs/a.yaml": DEPLOYMENT, "envs/b.yaml": b"kind: Service\n"}
    found = bench.findings(command, files, tree={"policy/a.rego": POLICY})
    expected = {
        ("error", "envs/a.yaml", "Deployment api has no replicas"),
        ("warning", "envs/a.yaml", "no labels"),
    }
    assert {(one.severity, one.file, one.message.split(" [")[0]) for one in found} == expected
    assert {one.validator for one in found} == {"policy"}
    good = DEPLOYMENT.replace(b"{}", b"{replicas: 1}").replace(b"name: api", b"name: api, labels: {a: b}")
    assert bench.findings(command, {"envs/a.yaml": good}, tree={"policy/a.rego": POLICY}) == ()


def test_conftest_that_cannot_read_its_input_fails(bench: Bench) -> None:
    (bench.bin / "conftest").symlink_to(program("conftest"))
    command = Command("policy", ("conftest", "test", "-o", "json", "{files}"), needs=("policy",))
    (finding,) = bench.findings(command, {"a.yaml": b"a: [\n"}, tree={"policy/a.rego": POLICY})
    assert (finding.severity, finding.file) == ("error", None)
    assert "did not find expected node content" in finding.message


def test_conftest_without_its_policies_fails(bench: Bench) -> None:
    (bench.bin / "conftest").symlink_to(program("conftest"))
    command = Command("policy", ("conftest", "test", "{files}"))
    (finding,) = bench.findings(command, A, tree={"policy/a.rego": POLICY})
    assert finding.severity == "error"
    assert "policy" in finding.message


# --- what a program gets -------------------------------------------------------------------------


def test_a_program_gets_the_files_and_nothing_else(bench: Bench, tmp_path: Path) -> None:
    told = tmp_path / "told"
    bench.script(
        f'{{ env; echo "args=$*"; find . ! -type d | sort; ls -A "$HOME" | wc -l; ls -lR .; }} > {told}'
    )
    more = {"policy/p.rego": b"p", "secret.yaml": b"s", "envs/staging/b.yaml": b"b"}
    bench.run(_check(needs=("policy/**",)), {**A, "-x.yaml": b"x"}, tree=more)
    lines = told.read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    assert set(environment) - {"PWD", "SHLVL", "_", "OLDPWD", "args"} == {"PATH", "LC_ALL", "HOME", "TMPDIR"}
    assert environment["args"] == f"{PATH_A} ./-x.yaml"
    assert not Path(environment["HOME"]).is_relative_to(environment["PWD"])
    assert environment["TMPDIR"].startswith(str(bench.tmp))
    assert [line for line in lines if line.startswith("./") and not line.endswith(":")] == [
        "./-x.yaml",
        f"./{PATH_A}",
        "./policy/p.rego",
    ]
    assert CANARY not in told.read_text()
    assert "l" not in {line[0] for line in lines if line[:10].count("-") > 3}  # no link among the modes


def test_without_a_place_for_files_it_looks_at_the_directory(bench: Bench) -> None:
    bench.script('[ "$*" = "lint ." ] && find . -type f | sed "s/$/:1: bad/"; exit 1')
    (finding,) = bench.findings(Command("lint", ("check", "lint", ".")), A)
    assert (finding.file, finding.line, finding.message, finding.severity) == (PATH_A, 1, "bad", "error")


def test_paths_that_leave_the_directory_are_not_written(bench: Bench, tmp_path: Path) -> None:
    bench.script("exit 0")
    bench.run(_check(needs=("**",)), {**A, "../../out.yaml": b"x"}, tree={"x/../../../out.yaml": b"x"})
    assert not list(tmp_path.rglob("out.yaml"))


def test_rendered_files_are_looked_at_where_asked_for(bench: Bench) -> None:
    bench.script('for file; do echo "$file:1: seen"; done')
    command = _check(on="rendered")
    assert [one.file for one in bench.findings(command, A, rendered={"staging.yaml": b"r"})] == [
        "staging.yaml"
    ]
    report = bench.run(command, A)
    assert (report.findings, report.notes) == (
        (),
        ("policy: not run, there is no rendered file to look at",),
    )


def test_many_files_are_several_runs(bench: Bench, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    bench.script(f'echo "$#" >> {runs}; for file; do echo "$file:1: seen"; done')
    files = {f"{'d' * 200}/{n:04}.yaml": b"" for n in range(1200)}
    report = bench.run(_check(), files)
    counts = [int(line) for line in runs.read_text().split()]
    assert sum(counts) == 1200
    assert len(counts) > 1
    assert len(report.findings) == 1000
    assert report.notes == ("policy: 200 more findings are left out",)


# --- who says whether it is run ------------------------------------------------------------------


def test_without_leave_nothing_is_run_or_looked_for(bench: Bench, tmp_path: Path) -> None:
    bench.script(f"touch {tmp_path}/ran")
    for name in ("check", "there-is-none"):
        report = bench.run(Command("policy", (name,)), A, allowed=False)
        assert report.notes == (f"policy: {name} was not run, which takes the caller's --allow-commands",)
        assert report.findings == ()
    assert not (tmp_path / "ran").exists()


def test_an_absent_program_is_named(bench: Bench) -> None:
    with pytest.raises(UnreachableError) as caught:
        bench.run(Command("policy", ("there-is-none", "{files}")), A)
    error = caught.value
    assert (error.exit_code, error.reason) == (9, "there-is-none-absent")
    assert error.message == (
        "the command 'policy' of the configuration runs there-is-none, which is not on PATH"
    )
    assert error.next_step == "install there-is-none, or take the command out of validate.commands"


@pytest.mark.parametrize("entry", ["", ".", "tools"])
def test_relative_entries_of_path_do_not_count(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    repository = tmp_path / "repository"
    (repository / entry).mkdir(parents=True)
    _executable(repository / entry / "check", f"touch {tmp_path}/ran")
    monkeypatch.chdir(repository)
    bench.environ["PATH"] = f"{entry}{os.pathsep}/usr/bin"
    with pytest.raises(UnreachableError, match="not on PATH"):
        bench.run(_check(), A)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("linked", [False, True])
def test_a_program_inside_the_repository_is_refused(bench: Bench, tmp_path: Path, linked: bool) -> None:
    repository = tmp_path / "repository"
    (repository / "tools").mkdir(parents=True)
    _executable(repository / "tools" / "check", f"touch {tmp_path}/ran")
    if linked:
        (bench.bin / "check").symlink_to(repository / "tools" / "check")
    else:
        bench.environ["PATH"] = f"{repository / 'tools'}{os.pathsep}{bench.environ['PATH']}"
    with pytest.raises(ConfigError, match="inside the repository") as caught:
        bench.run(_check(), A, checkout=repository)
    assert caught.value.next_step
    assert not (tmp_path / "ran").exists()


def _executable(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


# --- limits --------------------------------------------------------------------------------------


def test_a_slow_program_is_stopped_with_what_it_started(bench: Bench, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    bench.script(f"sleep 600 & echo $! > {pid}; echo waiting; wait")
    (finding,) = bench.findings(_check(timeout=1.0), A)
    assert finding.severity == "error"
    assert finding.message == "check took longer than 1 s and was stopped: waiting"
    assert _ends(int(pid.read_text()))


def _ends(process: int) -> bool:
    """Whether a process is gone, or will be within seconds; a zombie is: nobody here reaps it."""
    state = Path(f"/proc/{process}/stat")
    for _ in range(500):
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_the_deadline_of_the_run_counts_too(bench: Bench) -> None:
    bench.script("sleep 600")
    with pytest.raises(DeadlineError):
        bench.run(_check(), A, seconds=0.5)


def test_a_program_that_says_too_much_is_stopped(bench: Bench) -> None:
    bench.script("yes")
    (finding,) = bench.findings(_check(), A)
    assert finding.message.startswith("check said too much and was stopped: y / y")
    assert len(finding.message) < 2000
    assert MAX_OUTPUT < 100 << 20


# --- what it says --------------------------------------------------------------------------------


def _says(bench: Bench, said: str, code: int = 0, errors: str = "", **more: Any) -> tuple[Finding, ...]:
    (bench.bin / "said").write_text(said, encoding="utf-8")
    (bench.bin / "errors").write_text(errors, encoding="utf-8")
    bench.script(f"cat {bench.bin}/said; cat {bench.bin}/errors >&2; exit {code}")
    return bench.findings(_check(**more), A)


def _short(findings: Iterable[Finding]) -> list[tuple[object, ...]]:
    return [(one.severity, one.file, one.line, one.message) for one in findings]


def test_silence_and_success_are_no_finding(bench: Bench) -> None:
    assert _says(bench, "") == ()
    assert _says(bench, "1 test, 1 passed\n") == ()


def test_a_failure_that_tells_nothing_is_one_error_with_the_last_lines(bench: Bench) -> None:
    words = "\n".join(f"line {n}" for n in range(9))
    expected = [
        ("error", None, None, "check ended with 3: line 4 / line 5 / line 6 / line 7 / line 8"),
    ]
    assert _short(_says(bench, words, 3)) == expected
    assert _short(_says(bench, "", 3, errors=words)) == expected
    assert _short(_says(bench, "", 3)) == [("error", None, None, "check ended with 3")]


def test_lines_of_text(bench: Bench) -> None:
    text = f"{PATH_A}:3: no label\n./{PATH_A}:4:7: warning: odd\nother.yaml:1: of no file\n12:30:01 done\n"
    told = [("error", PATH_A, 3, "no label"), ("warning", PATH_A, 4, "odd")]
    assert _short(_says(bench, text, 1)) == told
    assert _short(_says(bench, "", 1, errors=text)) == told
    assert _short(_says(bench, text)) == [("warning", PATH_A, 3, "no label"), told[1]]


def test_warnings_of_a_program_that_fails_do_not_hide_that_it_failed(bench: Bench) -> None:
    assert _short(_says(bench, f"{PATH_A}:1: warning: odd\n", 2)) == [
        ("warning", PATH_A, 1, "odd"),
        ("error", None, None, f"check ended with 2: {PATH_A}:1: warning: odd"),
    ]


def test_the_directory_of_a_run_is_not_in_its_findings(bench: Bench) -> None:
    bench.script(f'echo "$PWD/{PATH_A}:2: bad"; echo "$PWD/x is odd" >&2; exit 1')
    assert _short(bench.findings(_check(), A)) == [("error", PATH_A, 2, "bad")]
    bench.script('echo "cannot read $PWD/x"; exit 1')
    first, second = (bench.findings(_check(), A) for _ in range(2))
    assert first == second
    assert first[0].message == "check ended with 1: cannot read x"


SARIF = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "check",
                    "rules": [{"id": "R1", "defaultConfiguration": {"level": "error"}}, {"id": "R2"}],
                }
            },
            "results": [
                {
                    "ruleId": "R1",
                    "message": {"text": "bad"},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": "envs/staging/%61.yaml"},
                                "region": {"startLine": 3},
                            }
                        }
                    ],
                },
                {"ruleIndex": 1, "message": {"text": "odd"}},
                {"ruleId": "R2", "level": "note", "message": {"text": "far"}, "locations": []},
                {"ruleId": "R2", "level": "none", "message": {"text": "fine"}},
                {"ruleId": "R2", "kind": "pass", "message": {"text": "fine"}},
                {"ruleId": "R1", "message": {"text": "accepted"}, "suppressions": [{"kind": "inSource"}]},
            ],
        }
    ],
}
KUBE_SCORE = [
    {
        "object_name": "Deployment/apps/v1//api",
        "file_name": PATH_A,
        "file_row": 2,
        "checks": [
            {
                "check": {"id": "container-resources"},
                "grade": 1,
                "skipped": False,
                "comments": [
                    {"path": "api", "summary": "CPU limit is not set"},
                    {"path": "api", "summary": "Memory limit is not set"},
                ],
            },
            {"check": {"id": "probes"}, "grade": 5, "skipped": False, "comments": None},
            {"check": {"id": "fine"}, "grade": 10, "skipped": False, "comments": []},
            {"check": {"id": "left"}, "grade": 1, "skipped": True, "comments": []},
        ],
    }
]
KUBE_LINTER = {
    "Checks": [],
    "Reports": [
        {
            "Diagnostic": {"Message": "container has no limits"},
            "Check": "unset-memory-requirements",
            "Object": {"Metadata": {"FilePath": PATH_A, "Raw": "YQ=="}},
        }
    ],
    "Summary": {"ChecksStatus": "Failed"},
}
POLARIS = {
    "PolarisOutputVersion": "1.0",
    "Results": [
        {
            "Name": "api",
            "Kind": "Deployment",
            "Results": {"a": {"ID": "a", "Message": "one", "Success": False, "Severity": "warning"}},
            "PodResult": {
                "Results": {"b": {"ID": "b", "Message": "two", "Success": True, "Severity": "danger"}},
                "ContainerResults": [
                    {
                        "Name": "web",
                        "Results": {
                            "c": {"ID": "c", "Message": "three", "Success": False, "Severity": "danger"},
                            "d": {"ID": "d", "Message": "four", "Success": False, "Severity": "ignore"},
                        },
                    }
                ],
            },
        }
    ],
}
OWN = [{"file": PATH_A, "line": 7, "severity": "warning", "message": "odd"}, {"message": "far"}]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (
            SARIF,
            [
                ("note", None, None, "far [R2]"),
                ("warning", None, None, "odd [R2]"),
                ("error", PATH_A, 3, "bad [R1]"),
            ],
        ),
        (
            KUBE_SCORE,
            [
                ("error", PATH_A, 2, "api: CPU limit is not set [container-resources]"),
                ("error", PATH_A, 2, "api: Memory limit is not set [container-resources]"),
                ("warning", PATH_A, 2, "[probes]"),
            ],
        ),
        (KUBE_LINTER, [("error", PATH_A, None, "container has no limits [unset-memory-requirements]")]),
        (
            POLARIS,
            [
                ("error", None, None, "Deployment api, container web: three [c]"),
                ("warning", None, None, "Deployment api: one [a]"),
            ],
        ),
        (OWN, [("error", None, None, "far"), ("warning", PATH_A, 7, "odd")]),
    ],
)
@pytest.mark.parametrize("output", ["auto", "json"])
def test_json_of_known_programs(
    bench: Bench, document: object, told: list[tuple[object, ...]], output: str
) -> None:
    found = _short(_says(bench, json.dumps(document), 1, output=output))
    assert sorted(found, key=str) == sorted(told, key=str)


@pytest.mark.parametrize("text", ["[]", "null", '{"Reports": null, "Checks": []}', '{"runs": []}'])
def test_documents_that_say_nothing(bench: Bench, text: str) -> None:
    assert _says(bench, text, output="json") == ()


@pytest.mark.parametrize("text", ["all is well", '{"score": 3}', "3"])
@pytest.mark.parametrize("output", ["sarif", "json"])
def test_output_of_another_form_than_promised_is_an_error(bench: Bench, output: str, text: str) -> None:
    assert _short(_says(bench, text, output=output)) == [
        ("error", None, None, f"the output of check is not {output.upper()} that promoter knows: {text}")
    ]
    assert _says(bench, json.dumps(OWN), output="sarif")[0].message.startswith("the output of check is not")


@pytest.mark.parametrize(
    "text",
    [
        '{"runs": [1, {"results": [1, {"locations": [1], "ruleIndex": 9, "message": 3}]}]}',
        '[{"filename": 1, "namespace": 2, "failures": [1, {"loc": 3}]}]',
        '[{"object_name": 1, "checks": [{"grade": 1, "comments": [3], "check": 4}]}]',
        '{"Reports": [{"Diagnostic": 1, "Object": []}]}',
        '{"PolarisOutputVersion": 1, "Results": [{"Results": [], "PodResult": 3}]}',
        '[{"message": {"a": 1}, "line": true}]',
        "[" * 100_000,
        "9" * 100_000,
    ],
)
def test_odd_documents_never_break_a_run(bench: Bench, text: str) -> None:
    found = _says(bench, text, 1)
    assert "error" in {one.severity for one in found}
    assert {(one.validator, one.file) for one in found} == {("policy", None)}
