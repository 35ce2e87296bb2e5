"""The embedded validator: findings with places, the user's schemas, what is skipped, and no network."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from promoter.config.validate import UserSchema, ValidateSettings
from promoter.errors import ConfigError
from promoter.validate.library import Library, LoadedSchema, load_schemas
from promoter.validate.model import Finding, Report, SourceFile
from promoter.validate.schema import SchemaValidator

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  replcas: 3
  selector: {matchLabels: {app: api}}
  template:
    spec:
      containers:
        - name: api
          image: [ghcr.io/acme/api]
          ports:
            - containerPort: http
          livenessProbe: {httpGet: {port: {number: 80}}}
"""
WIDGET = "apiVersion: acme.io/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: big}\n"


def validate(text: str, path: str = "a.yaml", *loaded: LoadedSchema, **settings: Any) -> Report:
    library = Library("1.33", loaded)
    return SchemaValidator(library, **settings).validate([SourceFile(path, text.encode())])


def told(report: Report) -> list[tuple[int | None, str, str]]:
    return [(one.line, one.path, one.message) for one in report.findings]


def loaded(path: str, schema: Any, **given: str) -> LoadedSchema:
    return LoadedSchema(path, json.dumps(schema).encode(), **given)


SIZE: dict[str, Any] = {
    "type": "object",
    "properties": {"spec": {"properties": {"size": {"type": "integer"}}}},
}
TOO_BIG = [(4, "spec.size", "got string, want integer")]


def test_one_message_for_each_mistake_where_it_stands() -> None:
    report = validate(DEPLOYMENT)
    container = "spec.template.spec.containers.0"
    assert told(report) == [
        (6, "spec.replcas", "additional properties 'replcas' not allowed; did you mean 'replicas'?"),
        (12, f"{container}.image", "got array, want string"),
        (14, f"{container}.ports.0.containerPort", "got string, want integer"),
        (15, f"{container}.livenessProbe.httpGet.port", "got object, want integer or string"),
    ]
    assert {one.validator for one in report.findings} == {"schema"}
    assert report.checked == 1


def test_a_missing_field_is_found_at_its_parent() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template: {}\n"
    assert told(validate(text)) == [(3, "spec", "missing property 'selector'")]


def test_no_value_is_quoted() -> None:
    schema = {
        "properties": {
            "a": {"enum": ["x"]},
            "b": {"pattern": "^x$"},
            "c": {"const": "x"},
            "d": {"oneOf": [{"pattern": "^x$"}, {"enum": ["y"]}]},
            "e": {"maxLength": 1},
            "f": {"not": {"type": "string"}},
        }
    }
    text = "".join(f"{key}: hunter2-secret\n" for key in schema["properties"])
    report = validate(text, "a.yaml", loaded("s.json", schema, files="*.yaml"))
    assert len(report.findings) == 6
    assert "hunter2" not in repr(report)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("apps/v1beta1/Deployment", "Kubernetes 1.33 has no Deployment in apps/v1beta1; it has apps/v1"),
        ("v1/Pdo", "Kubernetes 1.33 has no Pdo in v1"),
        ("extensions/v1beta1/Ingress", "Kubernetes 1.33 has no Ingress in extensions/v1beta1"),
    ],
)
def test_kinds_that_kubernetes_does_not_have(kind: str, says: str) -> None:
    version, _, name = kind.rpartition("/")
    report = validate(f"kind: {name}\napiVersion: {version}\n")
    assert told(report) == [(2, "apiVersion", says)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WIDGET, "no schema for acme.io/v1/Widget"),
        (
            "apiVersion: apps.kruise.io/v1beta1\nkind: StatefulSet\nspec: 1\n",
            "no schema for apps.kruise.io/v1beta1/StatefulSet",
        ),
        ("image: {tag: 1}\n", "not a manifest"),
        ("- op: add\n", "not a manifest"),
        ("apiVersion: v2\nname: chart\n", "not a manifest"),
        ("apiVersion: v1\nkind: Config\nclusters: []\n", "a kubeconfig"),
        (
            "apiVersion: v1\nkind: Secret\ndata: {a: ENC}\nsops: {mac: x, version: 3.9.0}\n",
            "encrypted by SOPS",
        ),
        ("a: {{ .Values.a }}\n", "a template"),
    ],
)
def test_what_has_no_schema_is_counted(text: str, reason: str) -> None:
    assert validate(text) == Report(skipped=((reason, 1),))


@pytest.mark.parametrize("text", ["kind: ConfigMap\nmetadata: {}\n", "apiVersion: v1\nmetadata: {}\n"])
def test_a_manifest_but_for_its_kind(text: str) -> None:
    (finding,) = validate(text).findings
    assert finding.message in ("missing property 'kind'", "missing property 'apiVersion'")


def test_skipped_kinds_and_ignored_files() -> None:
    bad = "apiVersion: v1\nkind: ConfigMap\ndata: {a: 1}\n"
    assert validate(bad).findings
    for skip in ("ConfigMap", "v1/ConfigMap"):
        assert validate(bad, skip=[skip]) == Report(skipped=(("of a kind that validate.skip names", 1),))
    assert validate(bad, skip=["apps/v1/ConfigMap"]).findings
    assert validate(bad, "vendor/x/a.yaml", ignore=["vendor/**"]) == Report(skipped=(("ignored", 1),))


# --- the user's schemas ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        loaded("any.json", SIZE, kind="acme.io/v1/Widget"),
        loaded("schemas/crds/acme.io/widget_v1.json", SIZE),
        loaded(
            "any.json",
            {
                **SIZE,
                "x-kubernetes-group-version-kind": [{"group": "acme.io", "version": "v1", "kind": "Widget"}],
            },
        ),
        loaded(
            "any.json",
            {
                "properties": {
                    **SIZE["properties"],
                    "apiVersion": {"const": "acme.io/v1"},
                    "kind": {"enum": ["Widget"]},
                }
            },
        ),
    ],
    ids=["configured", "by path", "by x-kubernetes-group-version-kind", "by its properties"],
)
def test_a_schema_of_a_kind(schema: LoadedSchema) -> None:
    report = validate(WIDGET, "a.yaml", schema)
    assert told(report) == TOO_BIG
    assert report.checked == 1
    assert validate(WIDGET.replace("v1", "v2"), "a.yaml", schema).skipped


def test_a_schema_of_files() -> None:
    schema = loaded("s.json", {"required": ["tag"]}, files="apps/*.yaml")
    assert told(validate("image: x\n", "apps/a.yaml", schema)) == [(1, "", "missing property 'tag'")]
    assert validate("image: x\n", "other/a.yaml", schema).skipped == (("not a manifest", 1),)
    both = validate("apiVersion: v1\nkind: ConfigMap\ndata: {a: 1}\n", "apps/a.yaml", schema)
    assert [one.message for one in both.findings] == ["missing property 'tag'", "got number, want string"]


def test_a_schema_of_the_user_goes_before_kubernetes() -> None:
    schema = loaded("s.json", {"required": ["immutable"]}, kind="v1/ConfigMap")
    report = validate("apiVersion: v1\nkind: ConfigMap\nunknown: 1\n", "a.yaml", schema)
    assert [one.message for one in report.findings] == ["missing property 'immutable'"]


def test_schemas_refer_to_each_other() -> None:
    main = loaded("s/app.json", {"$ref": "parts/size.json#/$defs/spec"}, kind="acme.io/v1/Widget")
    part = loaded("s/parts/size.json", {"$defs": {"spec": SIZE}})
    report = validate(WIDGET, "a.yaml", main, part)
    assert told(report) == TOO_BIG
    assert report.notes == ("s/parts/size.json is a schema for no kind: it says none, and its path none",)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be a mapping"),
        (b'{"type": "strin"}', "cannot be used"),
        (b'{"$ref": "https://example.com/a.json"}', "https://example.com/a.json"),
        (b'{"$ref": "file:///etc/passwd"}', "file:///etc/passwd"),
        (b'{"$ref": "absent.json"}', "absent.json"),
        (b'{"$schema": "https://example.com/dialect"}', "https://example.com/dialect"),
        (b'{"pattern": "("}', "cannot be used"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_schema_that_cannot_be_used(schema: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("it goes to the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(ConfigError) as caught:
        Library("1.33", [LoadedSchema("s.json", schema, kind="acme.io/v1/Widget")])
    assert says in caught.value.message
    assert caught.value.file == "s.json"


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a+)+(?=b)$"])
def test_a_pattern_that_would_take_forever(pattern: str) -> None:
    schema = loaded("s.json", {"properties": {"a": {"pattern": pattern}}}, files="*.yaml")
    report = validate(f"a: {'a' * 50_000}!\n", "a.yaml", schema)
    assert [one.path for one in report.findings] == ["a"]


class Files:
    """A tree of some files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def paths(self) -> list[str]:
        return list(self.files)

    def read(self, paths: Any) -> dict[str, bytes]:
        return {path: self.files[path] for path in paths if path in self.files}


def test_schemas_that_the_settings_name() -> None:
    tree = Files(
        {"s/a.json": b"{}", "s/b.json": b"{}", "s/c.yaml": b"", "crds/x/y_v1.json": b"{}", "z.json": b"{}"}
    )
    settings = ValidateSettings(
        schemas=(UserSchema("s/*"), UserSchema("z.json", kind="acme.io/v1/Widget")), crds="crds"
    )
    found = load_schemas(settings, tree)
    assert [(one.path, one.kind) for one in found] == [
        ("s/a.json", None),
        ("s/b.json", None),
        ("z.json", "acme.io/v1/Widget"),
        ("crds/x/y_v1.json", None),
    ]
    with pytest.raises(ConfigError, match=r"nowhere/\*\.json matches no \.json file"):
        load_schemas(ValidateSettings(schemas=(UserSchema("nowhere/*.json"),)), tree)


# --- what GitOps tools add --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        (
            "k/kustomization.yaml",
            "resources: [a]\nimages: [{name: a, newTag: 1.10}]\n",
            (2, "images.0.newTag"),
        ),
        ("k/Kustomization", "resources: a\n", (1, "resources")),
        (
            "a.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {project: a}\n",
            (4, "spec"),
        ),
        (
            "a.yaml",
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec: {interval: 5}\nmetadata: {}\n",
            (3, "spec.interval"),
        ),
        (".promoter.yaml", "version: 1\nenvironments: {a: {path: a}}\nexlude: []\n", (3, "exlude")),
    ],
)
def test_kinds_of_gitops_tools(path: str, text: str, place: tuple[int, str]) -> None:
    report = validate(text, path)
    assert [(one.line, one.path) for one in report.findings] == [place]
    assert report.checked == 1


def test_a_patch_of_kustomize_is_a_part() -> None:
    kustomization = b"patches: [{path: patch.yaml}]\n"
    patch = b"apiVersion: apps/v1\nkind: Deployment\nspec:\n  $patch: merge\n  replicas: x\n"
    files = [SourceFile("k/kustomization.yaml", kustomization), SourceFile("k/patch.yaml", patch)]
    validator = SchemaValidator(Library("1.33"))
    assert [one.path for one in validator.validate(files).findings] == ["spec.replicas"]
    alone: list[Finding] = list(validator.validate(files[1:]).findings)
    assert {one.path for one in alone} == {"spec", "spec.$patch", "spec.replicas"}
