"""The embedded validator and the real kubeconform: the same schemas, the same files, the same verdicts."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema
import pytest
import yaml

from promoter.deadline import Deadline
from promoter.validate import kubernetes
from promoter.validate.crds import import_crds
from promoter.validate.documents import kind_of, read_file
from promoter.validate.kubeconform import KubeconformValidator, Program
from promoter.validate.library import Library, LoadedSchema, shipped_kinds
from promoter.validate.model import Report, SourceFile
from promoter.validate.schema import SchemaValidator
from tests.support.programs import program
from tests.validate.corpus import DATA, VERSION, corpus

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.xdist_group("agreement")


# kubeconform is not given what lacks a kind, and where a choice fails it tells the choice, not the field.
ELSEWHERE = {
    "seed-widget--unknown-spec-one.yaml",
    "text-apiVersion-missing.yaml",
    "text-kind-empty.yaml",
    "text-kind-in-capitals-as-a-key.yaml",
    "text-kind-missing.yaml",
    "text-kind-null.yaml",
    "text-list-with-an-item-that-is-text.yaml",
    "text-list-with-an-item-without-kind.yaml",
}


class Bench(NamedTuple):
    """The corpus, the schemas, and kubeconform's verdict on each file."""

    files: Mapping[str, str]
    library: Library
    verdicts: Mapping[str, str]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    kubeconform = program("kubeconform")
    root = tmp_path_factory.mktemp("agreement")
    imported = import_crds([SourceFile("crd.yml", (DATA / "crd.yml").read_bytes())])
    bundle, custom, own, manifests = (root / name for name in ("bundle", "custom", "own", "manifests"))
    for folder in (bundle, custom, own, manifests):
        folder.mkdir()
    for one in imported:
        (custom / one.path).parent.mkdir(exist_ok=True)
        (custom / one.path).write_text(one.text)
    for kind, schema in shipped_kinds().items():
        kubernetes.write_schema(own, kind, schema)
    files = corpus()
    for name, text in files.items():
        (manifests / name).write_text(text, encoding="utf-8", newline="")
    locations = [kubernetes.write_out(VERSION, bundle)]
    locations += [f"{folder}/{kubernetes.LAYOUT}" for folder in (custom, own)]
    arguments = [argument for location in locations for argument in ("-schema-location", location)]
    done = subprocess.run(
        [kubeconform, "-strict", "-output", "json", "-verbose", *arguments, manifests],
        capture_output=True,
        timeout=120,
        check=False,
        env={"HTTPS_PROXY": "http://127.0.0.1:9"},
    )
    loaded = [LoadedSchema(one.path, one.text.encode()) for one in imported]
    return Bench(files, Library(VERSION, loaded), _verdicts(json.loads(done.stdout)["resources"]))


def _verdicts(resources: list[dict[str, Any]]) -> dict[str, str]:
    """By file: invalid where anything is, else whether there was a schema."""
    said: dict[str, set[str]] = {}
    for one in resources:
        missing = one["msg"].startswith("could not find schema for ")
        meant = {"statusValid": "valid", "statusInvalid": "invalid", "": "empty"}.get(
            one["status"], "invalid"
        )
        said.setdefault(Path(one["filename"]).name, set()).add("no schema" if missing else meant)
    order = ("invalid", "no schema", "valid", "empty")
    return {name: next(verdict for verdict in order if verdict in all_) for name, all_ in said.items()}


def _ours(library: Library, name: str, text: str) -> str:
    report = SchemaValidator(library).validate([SourceFile(name, text.encode())])
    errors = [finding for finding in report.findings if finding.severity == "error"]
    no_kind = [finding for finding in errors if finding.message.startswith(f"Kubernetes {VERSION} has no ")]
    if len(errors) > len(no_kind):
        return "invalid"
    if no_kind or any(reason.startswith("no schema for ") for reason, _ in report.skipped):
        return "no schema"
    return "valid" if report.checked else "empty"


def test_the_same_verdict_on_every_manifest(bench: Bench) -> None:
    assert set(bench.verdicts) == set(bench.files)
    ours = {name: _ours(bench.library, name, text) for name, text in bench.files.items()}
    differences = {
        name: {"ours": ours[name], "kubeconform": theirs}
        for name, theirs in bench.verdicts.items()
        if ours[name] != theirs
    }
    listed = yaml.safe_load((DATA / "differences.yml").read_text())
    assert all(one.pop("because") for one in listed.values())
    assert differences == listed
    counts = Counter(ours.values())
    assert counts["valid"] > 300
    assert counts["invalid"] > 300
    assert counts["no schema"] > 10


def test_the_same_places_in_every_manifest(bench: Bench, tmp_path: Path) -> None:
    """What breaks a schema is found at the same lines; of mistakes in YAML kubeconform tells the first."""
    files = [SourceFile(name, text.encode()) for name, text in bench.files.items()]
    found = Program(program("kubeconform"))
    environ = {"TMPDIR": str(tmp_path)}
    theirs = KubeconformValidator(found, bench.library, environ, Deadline(120)).validate(files)
    ours = SchemaValidator(bench.library).validate(files)
    left_out = set(yaml.safe_load((DATA / "differences.yml").read_text()))
    left_out |= {one.file for one in ours.findings if one.validator == "yaml" and one.severity == "error"}
    embedded, kubeconform = _places(ours, left_out), _places(theirs, left_out)
    assert {file for file, _, _ in embedded ^ kubeconform} == ELSEWHERE
    assert len(embedded & kubeconform) > 600


def _places(report: Report, left_out: set[str | None]) -> set[tuple[str | None, int | None, str]]:
    errors = [one for one in report.findings if one.severity == "error" and one.file not in left_out]
    return {(one.file, one.line, one.path) for one in errors}


def test_jsonschema_has_the_same_verdict(bench: Bench) -> None:
    """The faster engine against the one that everybody knows, on the same values."""
    engines: dict[str, jsonschema.Draft202012Validator] = {}
    compared: Counter[bool] = Counter()
    for name, text in bench.files.items():
        for document in read_file(SourceFile(name, text.encode())).documents:
            kind = kind_of(name, document)
            check = bench.library.for_kind(kind) if kind else None
            if kind is None or check is None:
                continue
            if kind not in engines:
                engines[kind] = jsonschema.Draft202012Validator(check.schema)
            valid = engines[kind].is_valid(document.value)
            assert valid == (not check.mistakes(document.value)), name
            compared[valid] += 1
    assert min(compared[True], compared[False]) > 300
