"""CustomResourceDefinitions → schemas: what they demand, and the verb that imports them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from promoter.errors import UsageError
from promoter.schema_files import read_schema
from promoter.validate.crds import import_crds
from promoter.validate.kubernetes import LAYOUT
from promoter.validate.model import SourceFile
from tests.support.cli import run_promoter
from tests.validate.corpus import DATA

if TYPE_CHECKING:
    from pathlib import Path

CRD = DATA / "crd.yml"


def schema_of(spec: dict[str, Any], **root: Any) -> Draft202012Validator:
    """What a custom resource's ``spec`` of this structural schema is held against."""
    (one,) = import_crds([SourceFile("a.yaml", yaml.safe_dump(_crd(spec, **root)).encode())])
    Draft202012Validator.check_schema(json.loads(one.text))
    return Draft202012Validator(json.loads(one.text))


def _crd(spec: dict[str, Any], **root: Any) -> dict[str, Any]:
    whole = {"type": "object", "properties": {"spec": spec}, **root}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.acme.io"},
        "spec": {
            "group": "acme.io",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": whole}}],
        },
    }


def accepts(validator: Draft202012Validator, spec: Any) -> bool:
    return validator.is_valid(
        {"apiVersion": "acme.io/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec}
    )


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        # https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
        pytest.param(
            {"type": "object", "properties": {"a": TEXT}}, [{"a": "x"}, {}], [{"b": 1}, {"a": 1}], id="pruned"
        ),
        pytest.param({"type": "object"}, [{}], [{"b": 1}], id="pruned without fields"),
        pytest.param(
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": TEXT}},
            [{"b": 1}, {"a": "x"}],
            [{"a": 1}],
            id="preserved, but what is listed",
        ),
        pytest.param(
            {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"a": {"type": "object", "properties": {"b": TEXT}}},
            },
            [{"a": {"b": "x"}, "c": {"d": 1}}],
            [{"a": {"c": 1}}],
            id="pruned below what is preserved",
        ),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, [{}, [1], "x", None], [], id="anything"),
        pytest.param({"x-kubernetes-int-or-string": True}, [1, "50%"], [1.5, True, {}], id="int or string"),
        pytest.param(
            {
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": "^[0-9]+%?$",
            },
            [1, "50%"],
            ["x", True],
            id="int or string, written out",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {**TEXT, "nullable": True}, "b": TEXT},
                "required": ["a", "b"],
            },
            [{"a": None, "b": "x"}],
            [{"a": "x", "b": None}, {"a": "x"}],
            id="nullable",
        ),
        pytest.param(
            {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}},
            [{"a": None}, {"a": "x"}],
            [{"a": "z"}],
            id="null of an optional field is dropped",
        ),
        pytest.param({"type": "array", "items": TEXT}, [["x"]], [[None]], id="null in a list is not"),
        pytest.param(
            {"type": "object", "properties": {"a": {**TEXT, "default": "x"}}, "required": ["a"]},
            [{}],
            [{"a": 1}],
            id="defaults come first",
        ),
        pytest.param(
            {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": TEXT}},
            [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": "x"}],
            [{"spec": "x"}, {"apiVersion": "v1", "kind": "Pod", "data": 1}, {"apiVersion": 1, "kind": "Pod"}],
            id="embedded",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": TEXT}, [{"a": "x"}, {"a": None}], [{"a": 1}], id="map"
        ),
        pytest.param(
            {
                "type": "integer",
                "minimum": 1,
                "exclusiveMinimum": True,
                "maximum": 3,
                "exclusiveMaximum": False,
            },
            [2, 3],
            [1, 4],
            id="exclusive limits",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": TEXT, "b": TEXT},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                "not": {"properties": {"a": {"enum": ["z"]}}, "required": ["a"]},
            },
            [{"a": "x"}, {"b": "x"}],
            [{}, {"a": "x", "b": "x"}, {"a": "z"}, {"a": "x", "c": 1}],
            id="choices list no fields",
        ),
    ],
)
def test_what_the_api_server_does(spec: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    validator = schema_of(spec)
    assert [value for value in good if not accepts(validator, value)] == []
    assert [value for value in bad if accepts(validator, value)] == []


def test_the_whole_object() -> None:
    validator = schema_of({"type": "object"}, required=["spec"])
    good = {
        "apiVersion": "acme.io/v1",
        "kind": "Widget",
        "metadata": {"labels": {"a": "b"}, "anything": 1},
        "spec": {},
    }
    assert validator.is_valid(good)
    for key, value in {"apiVersion": "acme.io/v2", "kind": "Gadget", "metadata": [], "other": 1}.items():
        assert not validator.is_valid({**good, key: value}), key
    assert not validator.is_valid({**good, "metadata": {"labels": {"a": 1}}})
    assert not validator.is_valid({key: value for key, value in good.items() if key != "spec"})


def test_versions_and_forms() -> None:
    beta = _crd({"type": "object", "properties": {"a": TEXT}})
    beta["apiVersion"] = "apiextensions.k8s.io/v1beta1"
    (version,) = beta["spec"].pop("versions")
    beta["spec"] |= {"version": "v1alpha1", "validation": version["schema"]}
    pruning = {**beta, "spec": {**beta["spec"], "preserveUnknownFields": False, "version": "v1alpha2"}}
    several = {**beta, "spec": {**beta["spec"], "versions": [{"name": "v1beta1"}, {"name": "v1beta2"}]}}
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [beta, {"apiVersion": "v1", "kind": "ConfigMap"}, pruning],
    }
    text = yaml.safe_dump_all([listed, {"apiVersion": "v1", "kind": "Service"}, several])
    found = {one.path: json.loads(one.text) for one in import_crds([SourceFile("a.yaml", text.encode())])}
    assert sorted(found) == [
        f"acme.io/widget_{name}.json" for name in ("v1alpha1", "v1alpha2", "v1beta1", "v1beta2")
    ]
    spec = {"apiVersion": "acme.io/v1alpha1", "kind": "Widget", "spec": {"b": 1}}
    assert Draft202012Validator(found["acme.io/widget_v1alpha1.json"]).is_valid(
        spec
    )  # v1beta1 does not prune
    spec["apiVersion"] = "acme.io/v1alpha2"
    assert not Draft202012Validator(found["acme.io/widget_v1alpha2.json"]).is_valid(spec)


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("apiVersion: v1\nkind: ConfigMap\n", "no CustomResourceDefinition", None),
        (
            "kind: CustomResourceDefinition\nspec: {group: ../../x, names: {kind: A}}\n",
            "its group is missing",
            1,
        ),
        (
            "a: 1\n---\nkind: CustomResourceDefinition\nspec: {group: a, names: {kind: ../x}}\n",
            "its kind is missing",
            2,
        ),
        (
            "kind: CustomResourceDefinition\nspec: {group: a, names: {kind: A}, version: /v1}\n",
            "its name is missing",
            1,
        ),
        ("kind: CustomResourceDefinition\n", "it has no spec", 1),
        ("kind: [\n", "not YAML", 2),
        ("kind: {{ .Values.kind }}\n", "this is a Helm template", None),
    ],
)
def test_what_is_refused(text: str, says: str, line: int | None) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        import_crds([SourceFile("a.yaml", text.encode())])
    assert caught.value.line == line
    assert caught.value.next_step


def test_the_verb_imports(tmp_path: Path) -> None:
    result = run_promoter("schema", "import-crds", str(CRD), "--to", "schemas/crds", cwd=tmp_path)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == f"-schema-location 'schemas/crds/{LAYOUT}'\n"
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json"))
    assert written == [f"schemas/crds/acme.io/widget_{name}.json" for name in ("v1", "v1alpha1")]
    before = [(tmp_path / path).read_bytes() for path in written]
    with CRD.open("rb") as stdin:
        again = run_promoter("schema", "import-crds", "-", "--output", "json", cwd=tmp_path, stdin=stdin)
    assert again.code == 0
    assert Draft202012Validator(read_schema("outcome")).is_valid(again.document)
    assert LAYOUT in again.document["warnings"][0]["message"]
    assert [(tmp_path / path).read_bytes() for path in written] == before


def test_the_verb_fails(tmp_path: Path) -> None:
    for arguments, code in (
        (["import-crds", "absent.yaml"], 2),
        (["import-crds"], 2),
        ([], 2),
        (["import-crds", str(CRD), "--to", str(CRD / "below")], 2),
        (["print", "nothing"], 2),
    ):
        result = run_promoter("schema", *arguments, cwd=tmp_path)
        assert result.code == code, result
        assert "next:" in result.stderr
        assert not result.stdout


@pytest.mark.parametrize(
    ("arguments", "name"), [([], "promoter"), (["config"], "promoter"), (["outcome"], "outcome")]
)
def test_the_verb_prints(arguments: list[str], name: str) -> None:
    assert run_promoter("schema", "print", *arguments).document == read_schema(name)


def test_a_definition_that_makes_no_schema(tmp_path: Path) -> None:
    crd = yaml.safe_dump(_crd({"type": "strin"})).encode()
    (tmp_path / "crd.yaml").write_bytes(crd)
    result = run_promoter("schema", "import-crds", "crd.yaml", cwd=tmp_path)
    assert result.code == 3
    assert "acme.io/widget_v1.json" in result.stderr
    assert not list(tmp_path.rglob("*.json"))


def test_the_schemas_of_a_file_are_small() -> None:
    crd = _crd(
        {"type": "object", "description": "long " * 1000, "properties": {"a": {**TEXT, "description": "x"}}}
    )
    (one,) = import_crds([SourceFile("a.yaml", yaml.safe_dump(crd).encode())])
    assert "long" not in one.text
