"""Edits of YAML text: one scalar's bytes change, every reader sees that one value change, and no other."""

import io
import itertools
import re
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError as RuamelError
from ruamel.yaml.nodes import ScalarNode as RuamelScalarNode

from promoter import yamltext
from promoter.yamltext import (
    Alias,
    EditError,
    Mapping,
    Node,
    Replacement,
    Scalar,
    Sequence,
    YamlTextError,
    parse,
    reads_as_string,
    resolved_text,
    splice,
    verify,
    written,
)

Path = tuple[str | int, ...]
Leaves = dict[Path, str]  # the repr of each leaf by its path: .nan is not equal to itself

# --- The oracles: whole files read by PyYAML (YAML 1.1) and ruamel.yaml (YAML 1.2) ----------


class _Loader(yaml.CSafeLoader):
    """PyYAML, whose resolver knows YAML 1.1, with tags of applications taken as plain text."""


def _application_tag(loader: _Loader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _application_tag)


def _flat(node: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _flat(value, (*path, index))
    else:
        yield path, repr(node)


def _read_by_pyyaml(text: str) -> Leaves | None:
    """None where PyYAML cannot read the file, as with one anchor's name twice."""
    try:
        return dict(_flat(list(yaml.load_all(text, Loader=_Loader))))
    except yaml.YAMLError:
        return None


def _read_by_ruamel(text: str) -> Leaves | None:
    """None where ruamel.yaml cannot read the file, as with tabs after a value."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names of anchors that stand twice
            return dict(_flat(list(YAML(typ="safe", pure=True).load_all(io.StringIO(text, newline="")))))
    except RuamelError:
        return None


def _values(nodes: list[Node]) -> list[Scalar]:
    """Every scalar that is no key, once, wherever aliases lead."""
    found: list[Scalar] = []
    pending = list(nodes)
    while pending:
        node = pending.pop(0)
        if isinstance(node, Scalar):
            found.append(node)
        elif isinstance(node, Mapping):
            pending += [value for _, value in node.pairs]
        elif isinstance(node, Sequence):
            pending += node.items
    return found


def _scalars(nodes: list[Node]) -> Iterator[tuple[Path, Scalar]]:
    """Each path with the scalar it reaches, aliases and merge keys followed."""

    def walk(node: Node, path: Path) -> Iterator[tuple[Path, Scalar]]:
        node = yamltext.resolve(node)
        if isinstance(node, Scalar):
            yield path, node
        elif isinstance(node, Sequence):
            for index, item in enumerate(node.items):
                yield from walk(item, (*path, index))
        elif isinstance(node, Mapping):
            seen = set()
            for key, value in yamltext.entries(node):
                if key not in seen:
                    seen.add(key)
                    yield from walk(value, (*path, key))

    for number, root in enumerate(nodes):
        yield from walk(root, (number,))


def _check_edit(text: str, target: Scalar, value: str) -> str:
    """Edit and compare bytes, our own reading, and the readings of both oracles."""
    edited = splice(text, [Replacement(target, value)])

    after = next(one for one in _values(parse(edited)) if one.event == target.event)
    assert (after.value, after.style or '"') == (value, target.style or after.style or '"')
    changed = edited[target.start : len(edited) - (len(text) - target.end)]
    assert edited == text[: target.start] + changed + text[target.end :]
    assert changed.strip(" ") == edited[after.start : after.end]
    assert changed == changed.strip(" ") or target.start == target.end

    reached = {path for path, scalar in _scalars(parse(text)) if scalar.event == target.event}
    for read in (_read_by_pyyaml, _read_by_ruamel):
        old, new = read(text), read(edited)
        if old is None or new is None:
            assert old is new  # an edit makes no file unreadable
            continue
        assert old.keys() == new.keys()
        assert {path: new[path] for path in new if new[path] != old[path] or path in reached} == {
            path: repr(value) for path in reached
        }
    return edited


# --- Documents as people write them --------------------------------------------------------

DOCUMENTS = {
    "deployment": """\
# Deployed by the platform team
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api   # the one
  labels: {app: api, "tier": 'web'}
spec:
  template:
    spec:
      containers:
      - name: api
        image: ghcr.io/acme/api:1.4.2@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        args: ["--level=info", '--name=it''s', plain]
      -   name: sidecar
          image:    'nginx:1.27'    # pinned
""",
    "crlf": 'image:\r\n  repository: ghcr.io/acme/api # here\r\n  tag: 1.4.2\r\n\r\nother: "a"\r\n',
    "crlf with comments": "tag: # why\r\n  # because\r\n  1.4.2\r\nother: x\r\n",
    "non-ascii": "größe: ünïcode # ñ\nимя: 'значение'\n日本: \"語\"\nimage: acme/api:1.4.2 # é\n",
    "emoji": "- 😀: 🎉🎉\n- {note: '🚀 to the moon', tag: 1.4.2} # 😀\n- tag: \"👩‍👩‍👧\"\n",
    "several documents": "---\na: 1.4.2\n---\n# empty\n---\n- b\n- c # d\n...\n---\ne: {f: g}\n",
    "scalar documents": "--- 1.4.2\n--- 'x'\n--- \"y\"\n",
    "flow": "a: {b: [c, d: e, {f: g}], h: 'i', j: \"k\", l: }\nm: [n, o,\n  p, # q\n  r]\n",
    "anchors": """\
tag: &tag 1.4.2
api: {image: *tag, quoted: &quoted "1.4.2", again: *quoted}
list: &list [one, &two two]
same: *list
second: *two
""",
    "one anchor twice": "a: &x 1.4.2\nb: *x\nc: &x 2.0\nd: *x\n",
    "merge keys": """\
x-base: &base
  image: acme/api:1.4.2
  restart: always
x-log: &log {driver: json, restart: never}
services:
  one: {<<: *base, name: one}
  two:
    <<: [*base, *log]
    image: acme/two:2.0.0
  three:
    <<: {<<: *log, extra: here}
    name: three
""",
    "tags of YAML": (
        "a: !!str 1.10\nb: !!str '1'\nc: !!str &x 010\nd: &y !!str\n  x\n"
        "e: ! 1.4.2\nf: !<tag:yaml.org,2002:str> 1.4.2\ng: !!str\nh: !!str # why\n  1.4.2\n"
    ),
    "tags of applications": "a: !Ref Api\nb: !Sub [x, y]\nc: 1.4.2\n",
    "block scalars": (
        "a: |\n  image: x:1\n  b\nb: 1.4.2\nc: >-\n  folded\n  text\n\nd: |2+\n    x\n\ne: last\n"
    ),
    "multi-line flow scalars": (
        "a: one\n  two\n  three\nb: 'four\n\n  five'\nc: \"six \\\n  seven\\u00e9\"\nd: x\n"
    ),
    "no final newline": "a: 1\nimage: acme/api:1.4.2",
    "no value at the end": "a: 1\nimage:",
    "absent values": "a:\nb: # comment\nc:   \nd: &anchor\ne: &other # comment\nf:\n  - \n  -\n  - x\n",
    "windows paths": "path: C:\\Users\\me\\app.exe\nquoted: \"C:\\\\temp\"\nsingle: 'C:\\temp'\ntag: 1.4.2\n",
    "comments between": (
        "image:\n  # the image\n\n  # of the app\n  acme/api:1.4.2 # now\nlist:\n# here\n- # there\n  x\n"
    ),
    "tabs after values": "image: acme/api:1.4.2\t# tabbed\nother:\tx\t\nlist: [a,\tb\t]\n",
    "next line": "a: x\u0085b: 'y'\u0085c: z\u2028d: 1.4.2\n",
    "next line in a text": "a: 'x\u0085y'\nb: 1.4.2\nc: \"x\u2028y\"\n",
    "yaml 1.1 directive": "%YAML 1.1\n---\na: 1.4.2\nb: x\n",
    "yaml 1.2 directive": "%YAML 1.2\n# comment\n---\na: 1.4.2\nb: 'x'\n",
    "tag directive": "%TAG !e! tag:yaml.org,2002:\n---\na: !e!str 1.4.2\nb: x\n",
    "json": (
        '{\n  "image": "acme/api:1.4.2",\n  "n": 1.10, "t": true, "z": null,\n'
        '  "l": ["a", {"b": "c\\/d"}],"x":"y"\n}\n'
    ),
    "json in one line": '{"image":"acme/api:1.4.2","tag":1,"l":["a","b"],"e":""}',
    "explicit keys": "? a\n: 1.4.2\n? 'b'\n: - x\n  - y\n",
    "aligned": "image          : acme/api:1.4.2\ntag            :   1.4.2\n'quoted'       : x\n",
    "numbers": (
        "a: 1.10\nb: 010\nc: 1e3\nd: 2024-01-02\ne: yes\nf: ~\n"
        "g: .nan\nh: -.inf\ni: 1_000\nj: 0o17\nk: 1:30\n"
    ),
    "a long line": "a: " + "x" * 3000 + "\nb: 1.4.2\nc: '" + "y " * 2000 + "'\n",
    "list at the same level": "a:\n- b\n-   - c\n    - d\n- - e\nf: g\n",
}
UNREADABLE_BY_PYYAML = {"one anchor twice"}
UNREADABLE_BY_RUAMEL = {"tags of applications", "tabs after values", "next line"}


def _is_absent_document(scalar: Scalar, text: str) -> bool:
    return scalar.start == scalar.end and scalar in parse(text)


NEW_VALUES = ["1.5.0", "1.10", "acme/api:1.5.0@sha256:" + "b" * 64]


def _is_editable(scalar: Scalar) -> bool:
    return scalar.style in ("", "'", '"') and scalar.tag in (None, "tag:yaml.org,2002:str")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_value_of_a_real_document(name: str) -> None:
    text = DOCUMENTS[name]
    targets = [
        scalar
        for scalar in _values(parse(text))
        if _is_editable(scalar) and not _is_absent_document(scalar, text)
    ]
    assert targets
    for number, target in enumerate(targets):
        _check_edit(text, target, NEW_VALUES[number % len(NEW_VALUES)])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_we_read_what_the_oracles_read(name: str) -> None:
    text = DOCUMENTS[name]
    ours = {path for path, _ in _scalars(parse(text))}
    by_pyyaml, by_ruamel = _read_by_pyyaml(text), _read_by_ruamel(text)
    assert (by_pyyaml is None) == (name in UNREADABLE_BY_PYYAML)
    assert (by_ruamel is None) == (name in UNREADABLE_BY_RUAMEL)
    for leaves in (by_pyyaml, by_ruamel):
        assert leaves is None or ours <= leaves.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_and_spans(name: str) -> None:
    text = DOCUMENTS[name]
    breaks = re.compile("\r\n|[\n\u0085\u2028]")
    for scalar in _values(parse(text)):
        assert scalar.line == len(breaks.findall(text, 0, scalar.start)) + 1
        span = text[scalar.start : scalar.end]
        if scalar.style in ("'", '"'):
            assert (span[0], span[-1]) == (scalar.style, scalar.style)
        elif scalar.style == "" and "\n" not in span:
            assert span == scalar.value


def test_all_values_at_once() -> None:
    text = DOCUMENTS["deployment"]
    targets = _values(parse(text))
    edited = splice(text, [Replacement(target, f"new-{target.event}") for target in reversed(targets)])
    assert [one.value for one in _values(parse(edited))] == [f"new-{target.event}" for target in targets]
    assert edited.count("#") == text.count("#")


def test_nothing_to_replace() -> None:
    assert splice(DOCUMENTS["crlf"], []) == DOCUMENTS["crlf"]


# --- Generated documents -------------------------------------------------------------------

_tag_values = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
_printable = st.text(max_size=12).filter(str.isprintable)
_references = st.builds("ghcr.io/acme/{}:{}".format, st.sampled_from(["api", "a/b"]), _tag_values)
_digits = st.text(alphabet="0123456789.eExo_+-:", min_size=1, max_size=8)
new_values = _tag_values | _references | _digits | _printable

PLAIN = (
    "1.4.2 latest acme/api:1.4.2 true 1.10 0x1F 2024-01-02 null ~ ünï C:\\x a😀b x#y -dash http://a:8/x 1e3"
)
_plain = st.sampled_from(PLAIN.split())
_quoted_text = st.text(alphabet="ab1.: #'\"\\{}[],&*é😀", max_size=8)
_single = _quoted_text.map(lambda text: "'" + text.replace("'", "''") + "'")
_double = _quoted_text.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
_comments = st.sampled_from(["", "", "", " # why", '  # it\'s: {odd} "ü" 😀 [x', "   "])


class _Writer:
    """Writes one document, a choice at a time; the shapes are those of manifests."""

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw
        self.keys = itertools.count()
        self.anchors: list[str] = []

    def key(self) -> str:
        form = self.draw(st.sampled_from(["k{}", "k{}", "'k {}'", '"k{}"', "ключ{}", "image{}"]))
        return str(form.format(next(self.keys)))

    def scalar(self) -> str:
        text: str = self.draw(_plain | _single | _double)
        prefix = self.draw(st.sampled_from(["", "", "", "!!str ", "&"]))
        if prefix == "&":
            self.anchors.append(f"n{len(self.anchors)}")
            prefix = f"&{self.anchors[-1]} "
        elif self.anchors and self.draw(st.integers(0, 4)) == 0:
            return f"*{self.draw(st.sampled_from(self.anchors))}"
        return prefix + text

    def flow(self, depth: int) -> str:
        kind = self.draw(st.sampled_from(["scalar", "scalar", "list", "map"] if depth else ["scalar"]))
        if kind == "scalar":
            return self.scalar() + " "
        items = [self.flow(depth - 1) for _ in range(self.draw(st.integers(0, 3)))]
        gap = self.draw(st.sampled_from([",", ", ", ",\n      "]))
        if kind == "list":
            return "[" + gap.join(items) + "]"
        return "{" + gap.join(f"{self.key()}: {item}" for item in items) + "}"

    def value(self, indent: str, depth: int) -> str:
        """What follows a colon or a dash, with its line break."""
        kinds = ["inline", "inline", "below", "absent", "flow", "literal"]
        kind = self.draw(st.sampled_from(kinds + ["map", "list"] * (3 if depth else 0)))
        comment = self.draw(_comments)
        if kind == "inline":
            return f" {self.scalar()}{comment}\n"
        if kind == "below":
            return f"{comment}\n{indent}  # below\n{indent}  {self.scalar()}{comment}\n"
        if kind == "absent":
            return f"{comment}\n"
        if kind == "flow":
            return f" {self.flow(2)}{comment}\n"
        if kind == "literal":
            return f" |{comment}\n{indent}  image: x:1\n{indent}  # no comment\n"
        lines = [self.line(kind, indent + "  ", depth - 1) for _ in range(self.draw(st.integers(1, 3)))]
        return f"{comment}\n" + "".join(lines)

    def line(self, kind: str, indent: str, depth: int) -> str:
        lead = "-" if kind == "list" else self.key() + ":"
        blank = self.draw(st.sampled_from(["", "", "", "\n", f"{indent}# before\n"]))
        return f"{blank}{indent}{lead}{self.value(indent, depth)}"

    def document(self) -> str:
        self.anchors.clear()
        return "".join(self.line("map", "", 3) for _ in range(self.draw(st.integers(1, 4))))


@st.composite
def documents(draw: DrawFn) -> str:
    writer = _Writer(draw)
    text = "---\n".join(writer.document() for _ in range(draw(st.integers(1, 2))))
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.integers(0, 3)) == 0 else text


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.integers(min_value=0), new_values)
def test_one_scalar_of_a_generated_document(text: str, choice: int, value: str) -> None:
    targets = [scalar for scalar in _values(parse(text)) if _is_editable(scalar)]
    assume(targets)
    _check_edit(text, targets[choice % len(targets)], value)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_generated_documents_are_read_alike(text: str) -> None:
    ours = {path for path, _ in _scalars(parse(text))}
    for leaves in (_read_by_pyyaml(text), _read_by_ruamel(text)):
        assert leaves is not None
        assert ours == {path for path, leaf in leaves.items() if leaf not in ("{}", "[]")}


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        nodes = parse(text)
    except YamlTextError as error:
        assert error.problem  # noqa: PT017 - some texts are YAML
    else:
        for scalar in _values(nodes):
            assert 0 <= scalar.start <= scalar.end <= len(text)


# --- Quoting --------------------------------------------------------------------------------

_RUAMEL = YAML(typ="safe", pure=True)


def _is_string_to_readers(value: str) -> bool:
    try:
        one, two = yaml.safe_load(value), _RUAMEL.load(value)
    except (yaml.YAMLError, RuamelError, ValueError):
        return False
    return type(one) is str and type(two) is str and one == two == value


# What can stand as a plain scalar at all: no indicator in front, no colon at the end.
_CAN_BE_PLAIN = re.compile(r"(?:[A-Za-z0-9_./$+~=<]|-[A-Za-z0-9_.])[A-Za-z0-9_./:@+${}~=<-]*(?<!:)\Z")

PIECES = """
0 1 7 8 9 12 08 59 60 1900 2024 . _ e E + - : 0x 0b 0o f inf nan T t Z z 01 02 -01 -02
:30 true no Y ~ null 1.4.2 rc
"""
_pieces = st.lists(
    st.sampled_from(PIECES.split()),
    min_size=1,
    max_size=5,
).map("".join)
_numbers = st.from_regex(
    r"[-+]?(0[xob]?)?[0-9a-f_]{1,6}(\.[0-9_]{0,3})?([eE][-+]?[0-9]{0,2})?", fullmatch=True
)
_dates = st.from_regex(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt][0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,3})?(Z|[-+][0-9]{1,2})?)?",
    fullmatch=True,
)
_plain_tags = _tag_values | _digits | _pieces | _numbers | _dates


@settings(deadline=None, max_examples=1000)
@given(_plain_tags.filter(lambda value: _CAN_BE_PLAIN.match(value) is not None))
def test_what_some_reader_takes_for_no_string_is_quoted(value: str) -> None:
    if not _is_string_to_readers(value):
        assert not reads_as_string(value)


def test_every_short_value_that_some_reader_takes_for_no_string_is_quoted() -> None:
    """With the resolvers alone, which say what type a plain scalar has."""
    pyyaml: Any = yaml.SafeLoader("")  # neither resolver has types
    ruamel: Any = _RUAMEL.resolver
    string = "tag:yaml.org,2002:str"
    wrong = []
    for length in (1, 2, 3, 4):
        for value in map("".join, itertools.product("0189.eExbo_+-:yn~", repeat=length)):
            if not _CAN_BE_PLAIN.match(value) or not reads_as_string(value):
                continue
            tags = [
                pyyaml.resolve(yaml.ScalarNode, value, (True, False)),
                str(ruamel.resolve(RuamelScalarNode, value, (True, False))),
            ]
            if tags != [string, string]:
                wrong.append((value, tags))
    assert wrong == []


@settings(deadline=None)
@given(new_values)
def test_what_is_written_plain_is_a_string(value: str) -> None:
    if written(value, "") == value:
        assert _is_string_to_readers(value)


NO_STRINGS = """
0 1 42 007 010 08 1.10 1.0 1. .5 -1 +1 1e3 12e5 1E3 12E5 1e-3 1.5e3 1234567e8 0x1F 0xdeadbeef 0o17 0b1 0b101
1_000 1_0.5 0x_1 0x_ 0b_ 0o_ ._ 2024-01-02 2024-1-2 2024-01-02T10:00:00Z 2024-01-02t10:00:00 1:30
1:30:00 1:30.5
yes no on off y n Yes No On Off Y N YES NO ON OFF true false True False TRUE FALSE null Null NULL ~
.inf .Inf .INF -.inf +.inf .nan .NaN .NAN = << --- ...
"""


@pytest.mark.parametrize(
    "value",
    NO_STRINGS.split(),
)
def test_what_reads_as_something_else_gains_quotes(value: str) -> None:
    assert not reads_as_string(value)
    assert written(value, "") == f'"{value}"'
    assert written(value, "'") == f"'{value}'"
    assert written(value, '"') == f'"{value}"'


USUAL = """
1.4.2 v1 v1.4 1.4.2-rc.1 1.4.2_build abc1234 1234567a 12e5f 1e3x latest main-57 2024-01-02-abc1234
20240102T101500Z 2024.01.02 2024-01 release-1 _1 x0 0x1g 0b12x yess nope onn nullable True-1 inf nan
acme/api:1.4.2 ghcr.io/acme/api:1.10 localhost:5000/api acme/api:1.4.2@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
sha256:0000000000000000000000000000000000000000000000000000000000000000 1.2@sha256:00000000000000000000
"""


@pytest.mark.parametrize(
    "value",
    USUAL.split(),
)
def test_a_usual_value_stays_plain(value: str) -> None:
    assert reads_as_string(value)
    assert written(value, "") == value
    assert _is_string_to_readers(value)


@pytest.mark.parametrize(
    ("value", "style", "expected"),
    [
        ("", "", '""'),
        ("", "'", "''"),
        ("a b", "", '"a b"'),
        ("a: b", "", '"a: b"'),
        ("a #b", "", '"a #b"'),
        ("a:", "", '"a:"'),
        ("-a", "", '"-a"'),
        ("*a", "", '"*a"'),
        ("a,b", "", '"a,b"'),
        ("{a}", "", '"{a}"'),
        ("${A}", "", '"${A}"'),
        ("é", "", '"é"'),
        ('a"b', "", '"a\\"b"'),
        ("a\\b", "", '"a\\\\b"'),
        ("a\\b", "'", "'a\\b'"),
        ("it's", "'", "'it''s'"),
        ("it's", '"', '"it\'s"'),
    ],
)
def test_written(value: str, style: str, expected: str) -> None:
    assert written(value, style) == expected
    assert yaml.safe_load(expected) == value


@pytest.mark.parametrize("value", ["a\nb", "a\x00", "a\tb", "\u2028", "\ufeff", "\ud800", "a\x85"])
@pytest.mark.parametrize("style", ["", "'", '"'])
def test_control_characters_are_refused(value: str, style: str) -> None:
    with pytest.raises(EditError, match="cannot be printed"):
        written(value, style)


# --- What a reader makes of a value ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.10", "1.1"),
        ("1.0", "1"),
        ("1.", "1"),
        (".5", "0.5"),
        ("1.50", "1.5"),
        ("2.0e1", "20"),
        ("1e3", "1000"),
        ("12e5", "1200000"),
        ("010", "8"),
        ("0777", "511"),
        ("08", "8"),  # no octal digit: decimal
        ("007", "7"),
        ("0x1F", "31"),
        ("0o17", "15"),
        ("0b101", "5"),
        ("1_000", "1000"),
        ("1_0.50", "10.5"),
        ("+12", "12"),
        ("-010", "-8"),
        ("42", "42"),
        ("20240102101500", "20240102101500"),
        ("1.4.2", "1.4.2"),
        ("v1.10", "v1.10"),
        ("1.10-rc1", "1.10-rc1"),
        ("_1", "_1"),
        ("__", "__"),
        ("1e999", "1e999"),
        ("2024-01-02", "2024-01-02"),
        ("1:30", "1:30"),
        ("yes", "yes"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("abc", "abc"),
        ("'1.10'", "1.10"),
        ('"010"', "010"),
        ("!!str 1.10", "1.10"),
        ("! 1.10", "1.10"),
        ("1" * 5000, "1" * 5000),  # no tag is that long, and Python prints no such number
        ("0x" + "f" * 5000, "0x" + "f" * 5000),
        ("0" + "7" * 6000, "0" + "7" * 6000),
    ],
    ids=lambda text: text[:20],
)
def test_resolved_text(text: str, expected: str) -> None:
    (scalar,) = _values(parse(text))
    assert resolved_text(scalar) == expected


@settings(deadline=None)
@given(_plain_tags.filter(lambda value: _CAN_BE_PLAIN.match(value) is not None))
def test_what_every_reader_takes_for_a_string_stays(value: str) -> None:
    (scalar,) = _values(parse(value))
    text = resolved_text(scalar)
    if reads_as_string(value):
        assert text == value


@pytest.mark.parametrize(
    ("text", "null"),
    [
        ("a:", True),
        ("a: ~", True),
        ("a: null", True),
        ("a: NULL", True),
        ("a: &x", True),
        ("a: ''", False),
        ("a: 'null'", False),
        ("a: !!str", False),
        ("a: nil", False),
        ("a: nULL", False),
    ],
)
def test_is_null(text: str, null: bool) -> None:
    (scalar,) = _values(parse(text))
    assert yamltext.is_null(scalar) is null
    assert yamltext.scalar_value(scalar) == (None if null else scalar.value)


def test_no_scalar_has_no_value() -> None:
    assert yamltext.scalar_value(None) is None
    assert yamltext.scalar_value(Sequence(1)) is None


# --- Reading ---------------------------------------------------------------------------------


def _mapping(text: str) -> Mapping:
    (root,) = parse(text)
    assert isinstance(root, Mapping)
    return root


def test_own_keys_win_over_merged_ones() -> None:
    text = "- &a {x: 1, y: 1}\n- &b {y: 2, z: 2}\n- {<<: [*a, *b], x: 3}\n- {'<<': no, x: 4}\n"
    (root,) = parse(text)
    assert isinstance(root, Sequence)
    merged, quoted = root.items[2], root.items[3]
    assert isinstance(merged, Mapping)
    assert isinstance(quoted, Mapping)
    found = {key: yamltext.get(merged, key) for key in ("x", "y", "z", "w", "<<")}
    assert {key: yamltext.scalar_value(node) for key, node in found.items()} == {
        "x": "3",
        "y": "1",
        "z": "2",
        "w": None,
        "<<": None,
    }
    assert yamltext.scalar_value(yamltext.get(quoted, "<<")) == "no"


def test_an_anchor_that_merges_itself_ends() -> None:
    root = _mapping("a: &a\n  <<: *a\n  x: 1\n")
    inner = yamltext.get(root, "a")
    assert isinstance(inner, Mapping)
    assert [key for key, _ in yamltext.entries(inner)] == ["x"]


def test_an_alias_stands_for_the_anchor_before_it() -> None:
    root = _mapping("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")
    assert [type(value) for _, value in root.pairs] == [Scalar, Alias, Scalar, Alias]
    assert [yamltext.scalar_value(value) for _, value in yamltext.entries(root)] == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("# only a comment\n", 0), ("---\n", 1), ("---\n---\n", 2)]
)
def test_nothing_there(text: str, count: int) -> None:
    nodes = parse(text)
    assert [isinstance(node, Scalar) and yamltext.is_null(node) for node in nodes] == [True] * count


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b: c\n", 1),
        ("a: x\nb: [c\n", 3),
        ("a: *none\n", 1),
        ("a: &x 1\n---\nb: *x\n", 3),  # anchors end with their document
        ("a: x\nb:\n\t- c\n", 3),
        ("a: \x00\n", None),
    ],
)
def test_what_is_no_yaml(text: str, line: int | None) -> None:
    with pytest.raises(YamlTextError) as caught:
        parse(text)
    assert caught.value.line == line
    assert caught.value.problem


# --- Limits ------------------------------------------------------------------------------------


def _bomb() -> str:
    levels = [f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 40)]
    return "\n".join(["a0: &a0 [lol,lol,lol]", *levels])


def _merge_bomb() -> str:
    levels = [f"a{i}: &a{i}\n" + "".join(f"  k{k}: *a{i - 1}\n" for k in range(9)) for i in range(1, 40)]
    return "a0: &a0 {x: y}\n" + "".join(levels)


LIMITS: dict[str, tuple[str, str]] = {
    "open lists": ("[" * 50_000, "nested deeper than 200"),
    "closed lists": ("[" * 50_000 + "]" * 50_000, "nested deeper than 200"),
    "mappings": ("{a: " * 50_000 + "}" * 50_000, "nested deeper than 200"),
    "blocks": ("- " * 50_000 + "x", "nested deeper than 200"),
    "keys": ("? " * 50_000 + "x", "nested deeper than 200"),
    "one too many": ("[" * 201 + "]" * 201, "nested deeper than 200"),
    "aliases of lists": (_bomb(), "aliases expand to more than 1,000,000 nodes"),
    "aliases of mappings": (_merge_bomb(), "aliases expand to more than 1,000,000 nodes"),
    "characters": ("a: " + "x" * 16 * 1024 * 1024, "larger than 16 MiB"),
    "bytes": ("a: " + "é" * 9 * 1024 * 1024, "larger than 16 MiB"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    text, problem = LIMITS[name]
    begin = time.process_time()
    with pytest.raises(YamlTextError, match=problem):
        parse(text)
    assert time.process_time() - begin < 2


def test_what_the_limits_allow() -> None:
    assert parse("[" * 200 + "]" * 200)
    assert parse("a: &a [x]\n" + "".join(f"b{i}: *a\n" for i in range(1000)))


@pytest.mark.parametrize(
    "line", ["- !!str x{}\n", "- &a{} x\n", "- !!str &a{} # why\n  x\n", "- x{}\n", "k{}: &a\n"]
)
def test_many_scalars_take_no_time(line: str) -> None:
    text = "".join(line.format(number) for number in range(100_000))
    begin = time.process_time()
    (root,) = parse(text)
    assert time.process_time() - begin < 8
    last = root.pairs[-1][1] if isinstance(root, Mapping) else _items(root)[-1]
    assert isinstance(last, Scalar)
    assert last.line == text.count("\n", 0, last.start) + 1


def _items(node: Node) -> list[Node]:
    assert isinstance(node, Sequence)
    return node.items


# --- What is refused ---------------------------------------------------------------------------


def _value(text: str, key: str) -> Scalar:
    node = yamltext.get(_mapping(text), key)
    assert isinstance(node, Scalar)
    return node


@pytest.mark.parametrize(
    ("text", "kind"), [("a: |\n  x\n", "literal"), ("a: >-\n  x\n", "folded"), ("a: &x |+\n  x\n", "literal")]
)
def test_block_scalars_are_refused(text: str, kind: str) -> None:
    with pytest.raises(EditError, match=f"{kind} block scalar"):
        splice(text, [Replacement(_value(text, "a"), "y")])


@pytest.mark.parametrize("tag", ["!", "!Ref", "!!int", "!!binary", "!<tag:acme.io,2024:str>"])
def test_other_tags_are_refused(tag: str) -> None:
    text = f"a: {tag} 1\n"
    with pytest.raises(EditError, match="carries the tag"):
        splice(text, [Replacement(_value(text, "a"), "2")])


def test_two_values_for_one_scalar_are_refused() -> None:
    scalar = _value("a: x\n", "a")
    with pytest.raises(EditError, match="two edits"):
        splice("a: x\n", [Replacement(scalar, "y"), Replacement(scalar, "z")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:", "a: 1.5.0"),
        ("a:\n", "a: 1.5.0\n"),
        ("a:\r\nb: c\r\n", "a: 1.5.0\r\nb: c\r\n"),
        ("a: # why\n", "a: 1.5.0 # why\n"),
        ("a: &x\n", "a: &x 1.5.0\n"),
        ("a: &x # why\n", "a: &x 1.5.0 # why\n"),
        ("a: !!str\nb: c\n", "a: !!str 1.5.0\nb: c\n"),
        ("{a: , b: c}\n", "{a: 1.5.0, b: c}\n"),
        ("{a: }\n", "{a: 1.5.0}\n"),
        ('{"a":}\n', '{"a": 1.5.0}\n'),
        ("? a\n:\n", "? a\n: 1.5.0\n"),
        ("a: ''\n", "a: '1.5.0'\n"),
    ],
)
def test_an_absent_value_gets_its_space(text: str, expected: str) -> None:
    assert splice(text, [Replacement(_value(text, "a"), "1.5.0")]) == expected


@pytest.mark.parametrize("text", ["{a}\n", "{a, b: c}\n", "? a\n"])
def test_where_no_value_can_be_put_it_is_refused(text: str) -> None:
    with pytest.raises(EditError):
        splice(text, [Replacement(_value(text, "a"), "1.5.0")])


BEFORE = "a: &x 1.4.2 # one\nb: 'two'\nc: [3, *x]\n"


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ("a: &x 1.5.0 # one\nb: 'TWO'\nc: [3, *x]\n", "line 2 would change"),
        ('a: &x 1.5.0 # one\nb: "two"\nc: [3, *x]\n', "line 2 would change"),
        ("a: &x 1.5.0 # one\nb: two\nc: [3, *x]\n", "line 2 would change"),
        ("a: &x 1.5.0 # one\nb: 'two'\nc: [4, *x]\n", "line 3 would change"),
        ("a: &x 1.5.0 # one\nB: 'two'\nc: [3, *x]\n", "line 2 would change"),
        ("a: &x 1.5.0 # one\nb: !t 'two'\nc: [3, *x]\n", "line 2 would change"),
        ("a: &x 1.5.0 # one\nb: &x 'two'\nc: [3, *x]\n", "line 2 would change"),
        ("a: &x 1.5.0 # one\nb: 'two'\nc: [3, x]\n", "line 3 would change"),
        ("a: &x 1.5.0 # one\nb: 'two'\nc:\n- 3\n- *x\n", "line 3 would change"),
        ("a: &x 1.5.0 # one\nb: 'two'\nc: [3, *x, 5]\n", "line 3 would change"),
        ("a: &x 1.5.0 # one\nb: 'two'\nc: [3, *x]\nd: e\n", "would change"),
        ("a: &x 1.5.0 # one\nb: 'two'\nc: [3, *x]\n---\n", "another structure|would change"),
        ("a: &x 1.5.1 # one\nb: 'two'\nc: [3, *x]\n", "read back"),
        ("a: &x [1.5.0]\nb: 'two'\nc: [3, *x]\n", "read back"),
        ("a: &x 1.4.2 # one\nb: 'two'\nc: [3, *x]\n", "read back"),
        ("a: &x 1.5.0 # one\nb: 'two\nc: [3, *x]\n", "not be YAML"),
    ],
)
def test_a_tampered_text_is_refused(after: str, problem: str) -> None:
    wanted = {_value(BEFORE, "a").event: "1.5.0"}
    with pytest.raises(EditError, match=problem):
        verify(BEFORE, after, wanted)


def test_the_intended_text_is_accepted() -> None:
    wanted = {_value(BEFORE, "a").event: "1.5.0"}
    verify(BEFORE, BEFORE.replace("1.4.2", "1.5.0"), wanted)
    verify(BEFORE, BEFORE.replace("1.4.2", '"1.5.0"'), wanted)


@pytest.mark.parametrize("value", ["1.10", "yes", "2024-01-02", "1e3", "0x_"])
def test_a_value_that_is_no_string_is_refused(value: str) -> None:
    before, wanted = "a: x\n", {4: value}
    with pytest.raises(EditError, match="not be read as a string"):
        verify(before, f"a: {value}\n", wanted)
    verify(before, f"a: '{value}'\n", wanted)
    verify(before, before.replace("x", f'"{value}"'), wanted)
