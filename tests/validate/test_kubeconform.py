"""The kubeconform wrapper: which program is run, what it gets, and what becomes of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promoter.deadline import Deadline
from promoter.errors import UnreachableError
from promoter.validate.kubeconform import KubeconformValidator, Program, find_kubeconform
from promoter.validate.kubeconform_output import answers_in
from promoter.validate.library import Library, LoadedSchema
from promoter.validate.model import Report, SourceFile
from tests.support.programs import program

MANIFESTS = """\
# two documents
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, annotations: {a/b: 1}}
spec:
  replicas: many
  foo: 1
  template: {}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: x}}
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: b}
    data:
      a: 1
"""


def script(folder: Path, text: str, name: str = "kubeconform") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def find(presence: Any, path: Path | str, given: str | None = None, checkout: Path | None = None) -> Any:
    return find_kubeconform(presence, given, {"PATH": str(path)}, Deadline(30), checkout)


def validate(
    tmp_path: Path, files: dict[str, str], *loaded: LoadedSchema, found: Path | None = None, **settings: Any
) -> Report:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    environ = {"TMPDIR": str(scratch), "PATH": "/usr/bin:/bin", "PROMOTER_TOKEN": "canary"}
    validator = KubeconformValidator(
        Program(found or program("kubeconform")), Library("1.33", loaded), environ, Deadline(60), **settings
    )
    report = validator.validate([SourceFile(path, text.encode()) for path, text in files.items()])
    assert list(scratch.iterdir()) == []
    return report


def told(report: Report) -> list[tuple[str | None, int | None, str, str]]:
    assert {one.validator for one in report.findings} <= {"kubeconform"}
    return sorted((one.file, one.line, one.path, one.message) for one in report.findings)


# --- which program ----------------------------------------------------------------------------------


def test_absent(tmp_path: Path) -> None:
    note = find("auto", tmp_path)
    assert (
        note
        == "the program kubeconform is not on PATH: the embedded validator alone has looked at the schemas"
    )
    with pytest.raises(UnreachableError) as caught:
        find("required", tmp_path)
    assert (caught.value.exit_code, caught.value.reason) == (9, "kubeconform-absent")
    assert "go install" in (caught.value.next_step or "")
    assert find("off", tmp_path) is None
    with pytest.raises(UnreachableError, match="nowhere/kubeconform is not there"):
        find("auto", tmp_path, given="nowhere/kubeconform")  # the caller named it


@pytest.mark.parametrize(
    ("says", "noted"), [("v0.8.0", False), ("0.6.1", False), ("development", True), ("", True)]
)
def test_versions(tmp_path: Path, says: str, noted: bool) -> None:
    found = find("required", script(tmp_path / "bin", f"echo {says}").parent)
    assert found.path == tmp_path / "bin" / "kubeconform"
    assert bool(found.notes) == noted
    assert all("tells no version" in note for note in found.notes)


def test_too_old(tmp_path: Path) -> None:
    folder = script(tmp_path / "bin", "echo v0.5.0").parent
    assert "v0.5.0, which is older than 0.6.0" in find("auto", folder)
    with pytest.raises(UnreachableError) as caught:
        find("required", folder)
    assert caught.value.reason == "kubeconform-old"


def test_not_kubeconform(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="is it kubeconform"):
        find("auto", script(tmp_path / "bin", "exit 3").parent)


def test_a_repository_brings_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = script(tmp_path / "bin", "echo v0.8.0")
    monkeypatch.chdir(tmp_path)
    assert "not on PATH" in find("auto", "bin")  # relative: it would be the repository's
    assert "not on PATH" in find("auto", tmp_path / "bin", checkout=tmp_path)
    assert find("auto", "", given=str(inside), checkout=tmp_path).path == inside  # the caller's word


# --- what it gets -----------------------------------------------------------------------------------


def test_what_it_gets(tmp_path: Path) -> None:
    """Strict, the cluster's version, schemas of the kinds at hand, a bare environment, and no way out."""
    record = tmp_path / "record"
    spy = script(
        tmp_path / "bin",
        f'env > {record}.env; for one in "$@"; do echo "$one" >> {record}.args; done; '
        f"find schemas files -type f | sort > {record}.files; echo '{{\"resources\": []}}'",
    )
    report = validate(tmp_path, {"a.yaml": MANIFESTS, "b.yaml": "a: b\n"}, found=spy, skip=["Secret"])
    assert report == Report(checked=3, skipped=(("not a manifest", 1),))
    arguments = Path(f"{record}.args").read_text().splitlines()
    assert arguments[:6] == [
        "-strict",
        "-output",
        "json",
        "-kubernetes-version",
        "1.33.0",
        "-schema-location",
    ]
    assert arguments[6].startswith("/")
    assert arguments[7:] == ["-skip", "Secret", "files"]
    assert Path(f"{record}.files").read_text().split() == [
        "files/0.yaml",
        "files/1.yaml",
        "schemas/apps/deployment_v1.json",
        "schemas/v1/configmap_v1.json",
    ]
    environment = dict(
        line.split("=", 1) for line in Path(f"{record}.env").read_text().splitlines() if "=" in line
    )
    assert environment["HTTPS_PROXY"] == environment["HTTP_PROXY"] == "http://127.0.0.1:9"
    assert "PROMOTER_TOKEN" not in environment


@pytest.mark.parametrize(
    "does",
    ["echo nonsense", "echo '{}'", "echo boom >&2; exit 2", "echo '{\"resources\": [1]}'", "kill -9 $$"],
)
def test_when_it_fails(tmp_path: Path, does: str) -> None:
    with pytest.raises(UnreachableError, match="kubeconform failed") as caught:
        validate(tmp_path, {"a.yaml": MANIFESTS}, found=script(tmp_path / "bin", does))
    assert (caught.value.exit_code, caught.value.reason) == (9, "kubeconform-failed")


def test_nothing_to_look_at(tmp_path: Path) -> None:
    never = script(tmp_path / "bin", "exit 1")
    files = {
        "values.yaml": "a: b\n",
        "templates/a.yaml": "a: {{ .a }}\n",
        "vendor/a.yaml": MANIFESTS,
        "s.yaml": "apiVersion: v1\nkind: Secret\ndata: {a: 1}\nsops: {mac: x}\n",
        "k/kustomization.yaml": "patches: [{path: p.yaml}]\n",
        "k/p.yaml": "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1}\n",
    }
    report = validate(tmp_path, files, found=never, ignore=["vendor"])
    assert report.checked == 0
    assert dict(report.skipped) == {
        "a kustomization without a kind": 1,
        "a kustomize patch": 1,
        "a template": 1,
        "encrypted by SOPS": 1,
        "ignored": 1,
        "not a manifest": 1,
    }


# --- its answers ------------------------------------------------------------------------------------


def test_places(tmp_path: Path) -> None:
    report = validate(tmp_path, {"x/a.yaml": MANIFESTS})
    assert told(report) == [
        ("x/a.yaml", 4, "metadata.annotations.a/b", "got number, want string"),
        ("x/a.yaml", 5, "spec", "missing property 'selector'"),
        ("x/a.yaml", 6, "spec.replicas", "got string, want integer"),
        ("x/a.yaml", 7, "spec.foo", "additional properties 'foo' not allowed"),
        ("x/a.yaml", 18, "items.1.data.a", "got number, want string"),
    ]
    assert report.checked == 3


def test_mistakes_in_the_yaml(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  a: x\n  a: y\n"
    assert told(validate(tmp_path, {"a.yaml": text})) == [("a.yaml", 8, "", 'key "a" already set in map')]


def test_kinds_without_schema(tmp_path: Path) -> None:
    files = {
        "a.yaml": "apiVersion: acme.io/v1\nkind: Widget\nmetadata: {name: a}\n",
        "b.yaml": "kind: Deployment\napiVersion: apps/v1beta1\n",
    }
    report = validate(tmp_path, files)
    assert told(report) == [
        ("b.yaml", 2, "apiVersion", "Kubernetes 1.33 has no Deployment in apps/v1beta1; it has apps/v1")
    ]
    assert report.skipped == (("no schema for acme.io/v1/Widget", 1),)
    assert report.checked == 1


def test_skipped_kinds_in_a_list(tmp_path: Path) -> None:
    report = validate(tmp_path, {"a.yaml": MANIFESTS}, skip=["apps/v1/Deployment", "ConfigMap"])
    assert told(report) == []
    assert report.skipped == (("of a kind that validate.skip names", 3),)


def test_schemas_of_the_user(tmp_path: Path) -> None:
    size = {"$id": "https://example.com/size", "$defs": {"s": {"properties": {"size": {"type": "integer"}}}}}
    plain = {"properties": {"spec": {"$ref": "../parts/size.json#/$defs/s"}}}
    files = {"a.yaml": "apiVersion: acme.io/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: big}\n"}

    def loaded(path: str, schema: Any, kind: str | None = None) -> LoadedSchema:
        return LoadedSchema(path, json.dumps(schema).encode(), kind=kind)

    part = loaded("s/parts/size.json", {"$defs": size["$defs"]})
    report = validate(tmp_path, files, loaded("s/my schemas/w.json", plain, "acme.io/v1/Widget"), part)
    assert told(report) == [("a.yaml", 4, "spec.size", "got string, want integer")]
    by_url = {"$ref": "https://example.com/size#/$defs/s"}
    # The embedded validator knows the schemas by their ids.
    report = validate(
        tmp_path,
        files,
        loaded("s/w.json", {"properties": {"spec": by_url}}, "acme.io/v1/Widget"),
        loaded("s/z.json", size),
    )
    assert report.notes == ("kubeconform is not given s/w.json, which refers to another schema by a URL",)
    assert report.skipped == (("no schema for acme.io/v1/Widget", 1),)


@pytest.mark.parametrize(
    "output", [b"", b"[]", b"{}", b'{"resources": 1}', b'{"resources": [{"filename": "x"}]}', b"\xff"]
)
def test_what_is_not_its_output(output: bytes) -> None:
    assert answers_in(output) is None


def test_values_are_not_quoted() -> None:
    head = "problem validating schema. Check JSON formatting: jsonschema validation failed with 'file:///s.json#'"
    message = (
        f"{head} - at '/data/a': 'hunter2 - at \\'/x\\': y' does not match pattern '^[a-z]+$'"
        " - at '/b': validation failed   - at '/b/c~1d': 'hunter2' is not valid email: missing @"
    )
    one = {
        "filename": "files/7.yaml",
        "kind": "A",
        "version": "v1",
        "name": "a",
        "status": "statusInvalid",
        "msg": message,
    }
    answers = answers_in(json.dumps({"resources": [one]}).encode())
    assert answers is not None
    assert answers[0].number == 7
    assert [(one.pointer, one.message) for one in answers[0].said] == [
        ("/data/a", "does not match pattern '^[a-z]+$'"),
        ("/b/c~1d", "is not valid email: missing @"),
    ]
