"""`promoter validate` as CI runs it: on a checkout, against a revision, with the files that are there."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from promoter.schema_files import read_schema
from tests.support import repos
from tests.support.cli import REPOSITORY, Result, run_promoter
from tests.support.programs import program

CANARY = "canary-51c0de"
CONFIG = "version: 1\nenvironments:\n  staging: {path: envs/staging}\n  production: {path: envs/production}\n"
GOOD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
        - name: api
          image: ghcr.io/acme/api:1.4.1
"""
BAD = GOOD.replace("replicas: 2", "replicas: two")
WORSE = BAD.replace("image:", "imagePullPolicies: Always\n          image:")
STAGING, PRODUCTION = "envs/staging/api.yaml", "envs/production/api.yaml"


Files = Mapping[str, str] | Mapping[str, str | None]


class Checkout:
    """A checkout in a directory of its own, with a PATH that a test fills."""

    def __init__(self, root: Path) -> None:
        self.path = root / "checkout"
        self.bin = root / "bin"
        self.tmp = root / "tmp"
        self.trace = root / "trace"
        for directory in (self.path, self.bin, self.tmp):
            directory.mkdir()
        git = shutil.which("git")
        assert git is not None
        (self.bin / "git").symlink_to(git)

    def write(self, files: Files) -> None:
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            else:
                file.write_text(content, encoding="utf-8")

    def commit(self, files: Files) -> str:
        """Write the files and commit all that is there; returns the commit."""
        self.write(files)
        if not (self.path / ".git").exists():
            repos.git(self.path, "init", "--quiet", "--initial-branch=main", ".")
        repos.git(self.path, "add", "--all")
        repos.git(self.path, "commit", "--quiet", "--allow-empty", "--message", "x")
        return repos.git(self.path, "rev-parse", "HEAD")

    def program(self, name: str, text: str) -> None:
        """A script on PATH."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)

    def run(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
        path = f"{self.bin}{os.pathsep}/bin{os.pathsep}/usr/bin" if self._needs_sh() else str(self.bin)
        settings = {"PATH": path, "TMPDIR": str(self.tmp), "PROMOTER_TOKEN": CANARY, **(env or {})}
        result = run_promoter("validate", *args, cwd=cwd or self.path, env=settings)
        assert CANARY not in result.stdout + result.stderr
        assert list(self.tmp.iterdir()) == []
        return result

    def _needs_sh(self) -> bool:
        return any(not one.is_symlink() for one in self.bin.iterdir())

    def document(self, *args: str, **settings: Any) -> Any:
        result = self.run(*args, "--output", "json", **settings)
        assert result.stderr == ""
        jsonschema.validate(result.document, read_schema("outcome"))
        assert (result.document["error"] or {"exit": 0})["exit"] == result.code
        return result.document

    def valid(self, *args: str, **settings: Any) -> Any:
        document = self.document(*args, **settings)
        assert document["error"] is None, document["findings"]
        assert (document["verb"], document["status"], document["reason"]) == (
            "validate",
            "unchanged",
            "valid",
        )
        return document

    def invalid(self, *args: str, **settings: Any) -> Any:
        document = self.document(*args, **settings)
        assert (document["status"], document["reason"]) == ("refused", "invalid"), document
        assert document["error"]["exit"] == 5
        return document


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def _short(document: Any) -> list[tuple[Any, ...]]:
    return [
        (one["file"], one["line"], one["validator"], one["path"], one["introduced"])
        for one in document["findings"]
    ]


REPLICAS = (STAGING, 5, "schema", "spec.replicas", True)


# --- what is looked at ---------------------------------------------------------------------------


def test_a_directory_that_is_no_checkout(checkout: Checkout) -> None:
    checkout.write({"a/good.yaml": GOOD, "a/README.md": "# no manifest", "b.json": '{"a": 1}'})
    document = checkout.valid()
    assert document["validation"]["files"] == 2
    assert document["validation"]["checked"] == 1
    assert document["validation"]["skipped"] == {"not a manifest": 1}
    checkout.write({"a/good.yaml": BAD})
    assert _short(checkout.invalid()) == [("a/good.yaml", 5, "schema", "spec.replicas", True)]
    assert checkout.invalid(str(checkout.path), cwd=checkout.bin)["findings"]


def test_files_keep_their_paths_in_the_checkout_wherever_it_runs(checkout: Checkout) -> None:
    checkout.commit({".promoter.yaml": CONFIG, STAGING: BAD, PRODUCTION: GOOD})
    for cwd, paths in (
        (checkout.path, []),
        (checkout.path / "envs", []),
        (checkout.path / "envs", ["staging"]),
        (checkout.path, [STAGING, PRODUCTION]),
        (checkout.bin, [str(checkout.path / "envs")]),
    ):
        assert _short(checkout.invalid(*paths, cwd=cwd)) == [REPLICAS]
    assert checkout.valid("envs/production")["validation"]["files"] == 1


def test_one_environment(checkout: Checkout) -> None:
    checkout.commit({".promoter.yaml": CONFIG, STAGING: BAD, PRODUCTION: GOOD, "other.yaml": BAD})
    assert _short(checkout.invalid("--env", "staging")) == [REPLICAS]
    assert checkout.valid("--env", "production")["environment"] == "production"
    error = checkout.document("--env", "prodution")["error"]
    assert (error["exit"], "did you mean 'production'?" in error["message"]) == (3, True)
    checkout.write({".promoter.yaml": None})
    assert checkout.document("--env", "staging")["reason"] == "no-configuration"


def test_what_is_left_out(checkout: Checkout) -> None:
    config = CONFIG + "exclude: ['vendor/**']\nvalidate: {ignore: ['generated/**']}\n"
    bad = dict.fromkeys(("vendor/a.yaml", "generated/b.yaml", "mine/c.yaml", STAGING), BAD)
    checkout.commit({".promoter.yaml": config, **bad})
    (checkout.path / "linked.yaml").symlink_to(checkout.path / STAGING)
    assert {one[0] for one in _short(checkout.invalid("--exclude", "mine"))} == {STAGING}
    ignored = checkout.valid("--exclude", "mine", "--exclude", "envs")["validation"]["skipped"]
    assert ignored["ignored"] == 1


def test_a_newer_kubernetes_knows_other_kinds(checkout: Checkout) -> None:
    budget = "apiVersion: autoscaling/v2beta2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n"
    checkout.write({"a.yaml": budget + "spec: {maxReplicas: 1, scaleTargetRef: {kind: a, name: b}}\n"})
    checkout.valid("--kubernetes", "1.25")
    assert checkout.invalid("--kubernetes", "1.33")["findings"][0]["path"] == "apiVersion"
    error = checkout.document("--kubernetes", "1.24")["error"]
    assert (error["exit"], "1.25 to 1.37" in error["message"]) == (2, True)


def test_schemas_of_the_repository(checkout: Checkout) -> None:
    schema = {"properties": {"spec": {"required": ["size"]}}}
    config = "validate: {schemas: [{schema: schemas/w.json, kind: acme.io/v1/Widget}]}\n"
    widget = "apiVersion: acme.io/v1\nkind: Widget\nmetadata: {name: a}\nspec: {}\n"
    checkout.commit({".promoter.yaml": CONFIG, "w.yaml": widget, "schemas/w.json": json.dumps(schema)})
    assert "no schema for acme.io/v1/Widget" in checkout.valid()["validation"]["skipped"]
    checkout.write({".promoter.yaml": CONFIG + config})
    assert [one["file"] for one in checkout.invalid()["findings"]] == ["w.yaml"]


# --- against a revision --------------------------------------------------------------------------


def test_only_what_is_introduced_blocks(checkout: Checkout) -> None:
    base = checkout.commit({".promoter.yaml": CONFIG, STAGING: BAD, PRODUCTION: GOOD})
    old = (*REPLICAS[:4], False)
    assert _short(checkout.valid("--against", base)) == [old]
    assert checkout.invalid("--against", base, "--strict")
    checkout.commit({PRODUCTION: GOOD + "# more\n"})
    document = checkout.valid("--against", "HEAD~1")
    assert _short(document) == [old]
    assert document["validation"]["against"] == "HEAD~1"
    checkout.write({STAGING: "# moved by a line\n" + WORSE})
    assert _short(checkout.invalid("--against", "main")) == [
        (STAGING, 6, "schema", "spec.replicas", False),
        (STAGING, 13, "schema", "spec.template.spec.containers.0.imagePullPolicies", True),
    ]
    checkout.write({STAGING: None})
    assert checkout.valid("--against", "main")["findings"] == []


def test_a_moved_file_brings_its_findings_anew(checkout: Checkout) -> None:
    checkout.commit({STAGING: BAD})
    checkout.commit({STAGING: None, PRODUCTION: BAD})
    assert [one[0] for one in _short(checkout.invalid("--against", "HEAD~1"))] == [PRODUCTION]


def test_a_schema_that_grows_stricter_is_what_introduces(checkout: Checkout) -> None:
    config = CONFIG + "validate: {schemas: [{schema: s.json, files: '*.values.yaml'}]}\n"
    base = checkout.commit({".promoter.yaml": config, "a.values.yaml": "size: 3\n", "s.json": "{}"})
    checkout.write({"s.json": json.dumps({"properties": {"size": {"maximum": 2}}})})
    assert [one[:1] for one in _short(checkout.invalid("--against", base))] == [("a.values.yaml",)]


def test_the_configuration_of_the_revision_rules(checkout: Checkout) -> None:
    base = checkout.commit({".promoter.yaml": CONFIG, STAGING: GOOD})
    checkout.write({".promoter.yaml": CONFIG + "validate: {ignore: ['**']}\n", STAGING: BAD})
    assert _short(checkout.invalid("--against", base)) == [REPLICAS]
    checkout.valid()
    local = checkout.path.parent / "local.yaml"
    local.write_text(CONFIG + "validate: {skip: [Deployment]}\n", encoding="utf-8")
    checkout.valid("--against", base, "--config", str(local))


def test_a_configuration_that_is_broken_blocks_as_a_file(checkout: Checkout) -> None:
    base = checkout.commit({".promoter.yaml": CONFIG, STAGING: GOOD})
    checkout.write({".promoter.yaml": CONFIG + "freezes: []\n"})
    assert {one[0] for one in _short(checkout.invalid("--against", base))} == {".promoter.yaml"}
    error = checkout.document()["error"]
    assert (error["exit"], error["file"], error["line"]) == (3, ".promoter.yaml", 5)


def test_a_revision_without_configuration_configures_nothing(checkout: Checkout) -> None:
    checkout.commit({STAGING: GOOD})
    checkout.program("check", f"touch {checkout.trace}")
    checkout.commit({".promoter.yaml": CONFIG + "validate: {commands: [{name: a, run: [check]}]}\n"})
    (note,) = checkout.valid("--against", "HEAD~1")["validation"]["notes"][:1]
    assert note == "HEAD~1 has no .promoter.yaml: nothing is configured"
    assert not checkout.trace.exists()


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~9", "0" * 40, "main:envs"])
def test_a_revision_that_is_not_there(checkout: Checkout, revision: str) -> None:
    checkout.commit({STAGING: GOOD})
    error = checkout.document("--against", revision)["error"]
    assert error["exit"] == 3
    assert revision in error["message"]
    assert "fetch-depth: 0" in error["next"]


def test_against_in_a_directory_that_is_no_checkout(checkout: Checkout) -> None:
    checkout.write({STAGING: GOOD})
    assert checkout.document("--against", "main")["error"]["exit"] == 3


@pytest.mark.parametrize("revision", ["--output=x", "-h", " ", "a\nb"])
def test_a_revision_is_no_option(checkout: Checkout, revision: str) -> None:
    checkout.commit({STAGING: GOOD})
    assert checkout.document(f"--against={revision}")["error"]["exit"] == 2


@pytest.mark.parametrize(
    ("paths", "says"),
    [(("nowhere",), "no such file or directory"), (("envs", ".."), "validate one repository at a time")],
)
def test_paths_that_cannot_be_validated(checkout: Checkout, paths: tuple[str, ...], says: str) -> None:
    checkout.commit({STAGING: GOOD})
    error = checkout.document(*paths)["error"]
    assert error["exit"] == 2
    assert says in error["message"] + error["next"]


# --- renders -------------------------------------------------------------------------------------

OVERLAY = {
    ".promoter.yaml": CONFIG,
    "base/kustomization.yaml": "resources: [api.yaml]\n",
    "base/api.yaml": GOOD,
    "envs/staging/kustomization.yaml": "resources: [../../base]\npatches: [{path: patch.yaml}]\n",
    "envs/staging/patch.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\n",
}
PATCH = "envs/staging/patch.yaml"


def test_what_environments_render_to_is_validated(checkout: Checkout) -> None:
    (checkout.bin / "kustomize").symlink_to(program("kustomize"))
    checkout.commit(OVERLAY)
    document = checkout.valid("--render", "required")
    assert document["validation"]["checked"] == 6
    checkout.write({"base/api.yaml": BAD})
    told = {(one[0], one[4]) for one in _short(checkout.invalid("--against", "main"))}
    assert told == {("base/api.yaml", True)}  # told once, where it is written
    checkout.write({"base/kustomization.yaml": "resources: [api.yaml, api.yaml]\n"})
    assert {one[2] for one in _short(checkout.invalid())} >= {"render"}
    checkout.valid("--render", "off", "--exclude", "base/api.yaml")


def test_a_mistake_that_only_the_render_shows(checkout: Checkout) -> None:
    (checkout.bin / "kustomize").symlink_to(program("kustomize"))
    json_patch = '[{"op": "replace", "path": "/spec/replicas", "value": "many"}]\n'
    overlay = {**OVERLAY, "envs/staging/kustomization.yaml": "resources: [../../base]\n"}
    base = checkout.commit({name: text for name, text in overlay.items() if name != PATCH})
    checkout.write(
        {
            "envs/staging/kustomization.yaml": "resources: [../../base]\n"
            "patches: [{path: p.json, target: {kind: Deployment}}]\n",
            "envs/staging/p.json": json_patch,
        }
    )
    (finding,) = checkout.invalid("--against", base, "--env", "staging")["findings"]
    assert (finding["path"], finding["introduced"]) == ("spec.replicas", True)
    assert finding["file"] == "envs/staging (rendered)/Deployment-api.yaml"


def test_without_kustomize_it_is_a_note_or_required(checkout: Checkout) -> None:
    checkout.commit(OVERLAY)
    notes = checkout.valid()["validation"]["notes"]
    assert [note for note in notes if "kustomize" in note]
    assert checkout.document("--render", "required")["error"]["exit"] == 9


# --- kubeconform ---------------------------------------------------------------------------------


def test_kubeconform_is_asked_too_where_it_is(checkout: Checkout) -> None:
    checkout.commit({STAGING: BAD, PRODUCTION: GOOD})
    assert any("kubeconform" in note for note in checkout.invalid()["validation"]["notes"])
    assert checkout.document("--kubeconform", "required")["error"]["exit"] == 9
    assert checkout.document("--kubeconform-path", "/nowhere")["error"]["exit"] == 9
    here = str(program("kubeconform"))
    alone = checkout.invalid("--kubeconform", "off")
    both = checkout.invalid("--kubeconform", "required", "--kubeconform-path", here)
    assert {(one[0], one[1], one[3]) for one in _short(both)} == {(STAGING, 5, "spec.replicas")}
    assert both["validation"]["checked"] == alone["validation"]["checked"] == 2
    base = repos.git(checkout.path, "rev-parse", "HEAD")
    checkout.valid("--against", base, "--kubeconform-path", here)


# --- commands ------------------------------------------------------------------------------------

COMMAND = CONFIG + "validate: {commands: [{name: policy, run: [check, '{files}']}]}\n"


def test_commands_are_run_here_on_what_changed(checkout: Checkout) -> None:
    checkout.program("check", f'echo "$@" > {checkout.trace}; for f; do echo "$f:1: odd"; done; exit 1')
    base = checkout.commit({".promoter.yaml": COMMAND, STAGING: GOOD, PRODUCTION: GOOD})
    told = checkout.invalid("--render", "off")
    assert [one[:3] for one in _short(told)] == [
        (".promoter.yaml", 1, "policy"),
        (PRODUCTION, 1, "policy"),
        (STAGING, 1, "policy"),
    ]
    checkout.write({STAGING: GOOD + "# more\n"})
    assert _short(checkout.valid("--against", base)) == [(STAGING, 1, "policy", "", False)]
    assert checkout.trace.read_text() == f"{STAGING}\n"


def test_an_absent_program_ends_the_run(checkout: Checkout) -> None:
    checkout.commit({".promoter.yaml": COMMAND, STAGING: GOOD})
    document = checkout.document()
    assert (document["status"], document["reason"]) == ("failed", "check-absent")
    assert document["error"]["exit"] == 9


def test_programs_of_the_checkout_are_never_run(checkout: Checkout) -> None:
    script = f"#!/bin/sh\ntouch {checkout.trace}\n"
    checkout.commit({".promoter.yaml": COMMAND, STAGING: GOOD, "tools/check": script})
    (checkout.path / "tools/check").chmod(0o755)
    path = {"PATH": f"{checkout.path / 'tools'}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    error = checkout.document(env=path)["error"]
    assert (error["exit"], "inside the repository" in error["message"]) == (3, True)
    assert not checkout.trace.exists()


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--dry-run",),
        ("--publish", "pull-request"),
        ("--allow-commands",),
        ("--dry-run", "--allow-commands"),
    ],
)
def test_a_bump_runs_a_command_of_the_manifest_repository_only_with_leave(
    checkout: Checkout, tmp_path: Path, more: tuple[str, ...]
) -> None:
    checkout.program("check", f"touch {checkout.trace}")
    config = COMMAND.replace("version: 1", "version: 1\nforge: {type: git}")
    files = {".promoter.yaml": config, STAGING: GOOD}
    repository = repos.make_repo(tmp_path / "deploy.git", files)
    path = f"{checkout.bin}{os.pathsep}{os.environ['PATH']}"
    result = run_promoter(
        *("bump", "--manifest-repo", str(repository), "--env", "staging"),
        *("--image", "ghcr.io/acme/api:1.4.2", "--output", "json", *more),
        env={"PATH": path, "TMPDIR": str(checkout.tmp)},
    )
    assert result.code == 0, result
    assert checkout.trace.exists() == ("--allow-commands" in more)
    # The same configuration does run it where the caller validates a checkout.
    checkout.trace.unlink(missing_ok=True)
    checkout.write(files)
    checkout.valid(env={"PATH": path})
    assert checkout.trace.exists()


# --- for people, and as a hook -------------------------------------------------------------------


def test_text(checkout: Checkout) -> None:
    base = checkout.commit({".promoter.yaml": CONFIG, STAGING: BAD, PRODUCTION: GOOD})
    checkout.write({PRODUCTION: WORSE})
    result = checkout.run("--against", base)
    assert result.code == 5
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"  {PRODUCTION}:5   error    schema  spec.replicas: ")
    assert lines[2].startswith(f"  {STAGING}:5      error    schema  spec.replicas: ")
    assert [line.endswith("  (old)") for line in lines[:3]] == [False, False, True]
    assert lines[-1] == (f"3 errors (2 introduced since {base}) in 3 files, 3 documents checked, 0 skipped")
    assert result.stderr.startswith(f"error: {PRODUCTION}:5: validation found 2 errors introduced since")
    assert "  next: " in result.stderr
    checkout.write({PRODUCTION: GOOD, STAGING: GOOD, "w.yaml": "apiVersion: a.io/v1\nkind: W\n"})
    good = checkout.run()
    assert (good.code, good.stderr) == (0, "")
    note, *rest = good.stdout.splitlines()
    assert note.startswith("note: the program kubeconform is not on PATH")
    assert rest == [
        "",
        "no findings in 4 files, 3 documents checked, 1 skipped",
        "skipped: 1 no schema for a.io/v1/W",
    ]


def test_the_hook_of_pre_commit(checkout: Checkout) -> None:
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["id"], hook["language"]) == ("promoter-validate", "python")
    assert hook["types_or"] == ["yaml", "json"]
    assert hook.get("pass_filenames", True)
    checkout.commit({".promoter.yaml": CONFIG, STAGING: BAD, PRODUCTION: GOOD})
    assert hook["entry"] == "promoter validate"
    options = hook["args"]
    assert _short(checkout.invalid(*options, STAGING, PRODUCTION)) == [REPLICAS]
    checkout.valid(*options, PRODUCTION, ".promoter.yaml")
