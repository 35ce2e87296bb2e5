"""Files as documents: what is wrong as YAML, on which line anything stands, and what no file can do to us."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from promoter.validate.documents import read_file
from promoter.validate.model import Finding, SourceFile
from tests.support.cli import REPOSITORY

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def findings(text: str | bytes, path: str = "a.yaml") -> list[Finding]:
    content = text.encode() if isinstance(text, str) else text
    return list(read_file(SourceFile(path, content)).findings)


def only(text: str | bytes, path: str = "a.yaml") -> tuple[str, int | None, str, str]:
    (finding,) = findings(text, path)
    assert finding.validator == "yaml"
    assert finding.file == path
    return finding.severity, finding.line, finding.path, finding.message


@pytest.mark.parametrize(
    ("text", "line", "path", "says"),
    [
        ("a: 1\nb: [1\n", 3, "", "not YAML: did not find expected ',' or ']'"),
        ("a:\n\tb: 1\n", 2, "", "not YAML: found character that cannot start any token"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "b.c", "the key 'c' stands twice"),
        ("a: [{b: 1}, {b: 1, b: 2}]\n", 1, "a.1.b", "the key 'b' stands twice"),
        ("a: &x [1, *x]\n", 1, "a.1", "the alias *x stands inside of its own anchor"),
        ("a: *x\n", 1, "a", "the alias *x has no anchor"),
        ("a: 1\n---\nb: .inf\n", 3, "b", ".inf is a number that JSON does not have"),
        ("a: {<<: 1}\n", 1, "a", "only mappings can be merged by <<"),
        ("? [a]\n: b\n", 1, "", "a key is not a scalar"),
        ('a: "\\/"\n', 1, "a", "YAML 1.1 readers, kubectl among them, do not know the escape \\/"),
        (b"a: \xff\n", 1, "", "not UTF-8 (byte 3)"),
    ],
)
def test_what_is_wrong_as_yaml(text: str | bytes, line: int, path: str, says: str) -> None:
    assert only(text) == ("error", line, path, says)


@pytest.mark.parametrize("word", ["yes", "No", "on", "OFF", "y", "N"])
def test_words_that_readers_take_for_different_things(word: str) -> None:
    severity, line, path, message = only(f"a: true\nb: [{word}]\n")
    assert (severity, line, path) == ("warning", 2, "b.0")
    assert "to YAML 1.1 readers and text to YAML 1.2 readers" in message
    assert not findings(f"{word}: '{word}'\n")  # a key means the same to both, and so does quoted text


def test_a_merged_key_is_no_second_one() -> None:
    read = read_file(SourceFile("a.yaml", b"a: &x {k: 1, l: 2}\nb: {k: 3, <<: *x}\n"))
    assert not read.findings
    assert read.documents[0].value["b"] == {"k": 3, "l": 2}


def test_where_things_stand() -> None:
    text = """\
# a comment
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: &m
      name: a
    data:
      "a.b/c": x

  - {apiVersion: v1, kind: ConfigMap, metadata: {<<: *m, namespace: b}}
--- # the second
kind: X
"""
    read = read_file(SourceFile("a.yaml", text.encode()))
    first, second, third = read.documents
    assert [(one.number, one.steps) for one in read.documents] == [
        (0, ("items", 0)),
        (0, ("items", 1)),
        (1, ()),
    ]
    finding = read.finding("schema", first, ("data", "a.b/c"), "x")
    assert (finding.line, finding.path) == (11, "items.0.data.a.b/c")
    assert read.finding("schema", first, ("metadata", "name"), "x").line == 9
    assert read.finding("schema", first, ("spec", "absent"), "x").line == 6  # the nearest there is
    assert read.finding("schema", second, ("metadata", "namespace"), "x").line == 13
    assert read.finding("schema", second, ("metadata", "name"), "x").line == 9  # where it is merged from
    assert read.finding("schema", third, (), "x").line == 14


@pytest.mark.parametrize(
    ("path", "text", "unread"),
    [
        ("a.txt", "a: [", "not YAML or JSON"),
        ("charts/api/templates/a.yaml", "a: '{{ .Values.a }}'", "a template"),
        ("a.yaml", "{{- if .Values.a }}\na: b\n{{- end }}\n", "a template"),
        ("a.yaml", "a: {{ .Values.a }}\n", "a template"),
        ("a.yaml", "a: '{{ name }}'\n", None),  # an ApplicationSet's, which is YAML
        ("templates/a.yaml", "a: b\n", None),
        ("kustomization.yaml", "a: b", None),
    ],
)
def test_what_is_not_read(path: str, text: str, unread: str | None) -> None:
    read = read_file(SourceFile(path, text.encode()))
    assert read.unread == unread
    assert not read.findings
    assert bool(read.documents) == (unread is None)


def _bomb() -> str:
    """Nine levels of nine aliases each: 280 bytes that stand for 387 million values."""
    levels = [
        f"{name}: &{name} [{','.join([f'*{below}'] * 9)}]"
        for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    return "\n".join(["a: &a [x]", *levels])


SIZE = 8 * 1024 * 1024
HOSTILE = {
    "alias bomb": (_bomb(), "aliases stand for more than"),
    "merged bomb": (
        HEAD + "x: &x {a: 1}\ny: {<<: [*x" + ",*x" * 90_000 + "]}\n",
        "aliases stand for more than",
    ),
    "too large": ("a: " + "x" * SIZE, "larger than 8 MiB"),
    "deep flow": ("[" * 100_000, "nested deeper than 200 levels"),
    "deep block": ("- " * 100_000, "nested deeper than 200 levels"),
    "many values": ("a: [" + "x," * (SIZE // 2 - 10) + "]", "more than 400,000 values"),
    "many documents": ("---\n" * 1_000_000, "more than 10,000 documents"),
    "many mistakes": (HEAD + "data:\n" + "".join(f"  k{n}: 1\n" for n in range(100_000)), "want string"),
    "many unknown fields": (HEAD + "".join(f"k{n}: 1\n" for n in range(100_000)), "not allowed"),
    "many duplicates": (HEAD + "k: 1\n" * 100_000, "stands twice"),
    "a long key": (HEAD + "k" * 1000 + ": 1\n", "not allowed"),
}
RUN = """\
import json, sys, time
from promoter.validate.library import Library
from promoter.validate.model import SourceFile
from promoter.validate.schema import SchemaValidator
validator = SchemaValidator(Library())
said = {}
for name, text in json.load(sys.stdin).items():
    before = time.monotonic()
    report = validator.validate([SourceFile("a.yaml", text.encode())])
    said[name] = [len(report.findings), " | ".join({one.message for one in report.findings})]
print(json.dumps(said))
"""


def test_hostile_files_are_findings_soon() -> None:
    """All of them within a deadline that a hang would miss by hours; each takes about a second at most."""
    assert len(_bomb()) < 300
    texts = {name: text for name, (text, _) in HOSTILE.items()}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=REPOSITORY,
    )
    said = json.loads(done.stdout)
    for name, (_, says) in HOSTILE.items():
        count, messages = said[name]
        assert says in messages, name
        assert 0 < count <= 200, name


def test_reading_is_linear() -> None:
    """A text ten times as long does not take a hundred times as long."""
    spent = []
    for size in (20_000, 200_000):
        text = ("- &a x\n- *a\n" * (size // 12)).encode()
        before = time.process_time()
        assert not read_file(SourceFile(f"{size}.yaml", text)).findings
        spent.append(time.process_time() - before)
    assert spent[1] < 40 * max(spent[0], 0.001)
