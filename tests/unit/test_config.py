"""Configuration: cases are files, the rest is what no file shows."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from promoter.config import (
    Config,
    Environment,
    config_for_paths,
    environment,
    parse_config,
    parse_key_path,
)
from promoter.config.gates import check_pattern, is_found
from promoter.config.grammar import check_author, check_placeholders, repository_path, unsatisfied
from promoter.config.validate_grammar import KUBERNETES_VERSIONS
from promoter.errors import ConfigError, PromoterError, UsageError
from promoter.schema_files import read_schema
from promoter.validate.kubernetes import bundled_versions

CASES = Path(__file__).parent / "config_cases"
GOOD = "version: 1\nenvironments:\n  staging: {path: envs/staging}\n"


def parse(text: str) -> Config:
    return parse_config(text, ".promoter.yaml", version="1.2.0")


def as_json(config: Config) -> Any:
    data = {name: getattr(config, name) for name in ("apps", "images", "targets", "exclude", "commit")}
    plain = {
        name: asdict(value) if name == "commit" else [v if isinstance(v, str) else asdict(v) for v in value]
        for name, value in data.items()
    }
    environments = {name: asdict(entry) for name, entry in config.environments.items()}
    validate = asdict(config.validate)
    whole = {"environments": environments, **plain, "validate": validate, "forge_type": config.forge_type}
    return json.loads(json.dumps(whole, default=timedelta.total_seconds))


def as_text(error: PromoterError) -> str:
    return f"{error.where} [{error.reason}]\n{error.message}\nnext: {error.next_step}\n"


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_case(case: str) -> None:
    text = (CASES / f"{case}.yaml").read_bytes().decode("utf-8")
    good, bad = CASES / f"{case}.json", CASES / f"{case}.error.txt"
    assert good.exists() != bad.exists(), "one expectation per case"
    if good.exists():
        assert as_json(parse(text)) == json.loads(good.read_text(encoding="utf-8"))
        return
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert as_text(caught.value) == bad.read_text(encoding="utf-8")


def test_every_expectation_has_its_case() -> None:
    for expected in [*CASES.glob("*.json"), *CASES.glob("*.error.txt")]:
        assert (CASES / f"{expected.name.split('.error.txt')[0].removesuffix('.json')}.yaml").exists()


def test_a_configuration_cannot_be_changed() -> None:
    config = parse(GOOD)
    with pytest.raises(FrozenInstanceError):
        config.exclude = ("x",)  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.environments["x"] = Environment("x", (".",))  # type: ignore[index]


def test_size_limit() -> None:
    assert parse(GOOD + "#" * 1000) == parse(GOOD)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        parse(GOOD + "#" * 1024 * 1024)


def test_aliases_up_to_the_limit_are_read() -> None:
    text = GOOD + "exclude: [&a x" + ", *a" * 10_000 + "]\n"
    assert parse(text).exclude == ("x",)
    with pytest.raises(ConfigError, match="aliases expand"):
        parse(text.replace("]", ", *a]"))


def test_aliases_cannot_nest_past_the_depth_limit() -> None:
    lines = [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(ConfigError, match="50 levels"):
        parse("\n".join(["a0: &a0 [x]", *lines]))


@pytest.mark.parametrize(
    "text",
    ["a: \x00", "\x07", "a\n\x80b", 'a: "\\UFFFFFFFF"', 'a: "\\ud800"', "a: \ud800", "%YAML 9.9\n---\na"],
)
def test_odd_characters_are_refused_with_a_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.line
    assert caught.value.message.startswith(f"line {caught.value.line}, column ")


def test_more_problems_are_counted_once_each() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'a'.* \(and 2 more\)$"):
        parse(GOOD + "a: 1\nb: 2\nexclude: [1]\n")


def test_importing_costs_no_parser() -> None:
    code = (
        "import sys, promoter.config as c; c.config_for_paths(['.']);"
        "print([m for m in sys.modules if m.split('.')[0] in ('ruamel', 'jsonschema')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- without a configuration ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "name", "inside"),
    [
        (["."], "all", (".",)),
        (["./"], "all", (".",)),
        (["envs/staging/"], "envs-staging", ("envs/staging",)),
        (["./envs/staging", "shared", "envs/staging"], "envs-staging", ("envs/staging", "shared")),
        ([".deploy/my app"], "deploy-my-app", (".deploy/my app",)),
    ],
)
def test_config_for_paths(paths: list[str], name: str, inside: tuple[str, ...]) -> None:
    config = config_for_paths(paths)
    assert dict(config.environments) == {name: Environment(name, inside)}
    assert environment(config, name).publish == "push"


@pytest.mark.parametrize(
    "paths",
    [
        [],
        [""],
        ["/"],
        ["/etc"],
        [".."],
        ["a/../b"],
        ["\\a"],
        [".git"],
        ["a/.Git/b"],
        ["a\0"],
        ["a", "b\n"],
        ["環境"],
    ],
)
def test_config_for_paths_refuses(paths: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        config_for_paths(paths)
    assert caught.value.next_step


def test_unknown_environment_lists_the_known_ones() -> None:
    config = parse(GOOD + "  production: {path: envs/production}\n")
    with pytest.raises(ConfigError) as caught:
        environment(config, "prodution")
    assert caught.value.message == (
        "no environment is called 'prodution'; there are staging, production; did you mean 'production'?"
    )


# --- the small grammars --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("images[name=api].newTag", ("images", ("name", "api"), "newTag")),
        ("[2][name=api].a", (2, ("name", "api"), "a")),
        ('"a.b".c', ("a.b", "c")),
        (r'"say \"hi\" \\".c', (r'say "hi" \\'.replace("\\\\", "\\"), "c")),
        ('a["my name"="x]=y"].b', ("a", ("my name", "x]=y"), "b")),
        ("annotations.example/tag", ("annotations", "example/tag")),
        ("0.1", ("0", "1")),
        ("apps[name={app}].tag", ("apps", ("name", "{app}"), "tag")),
    ],
)
def test_key_path(text: str, steps: tuple[object, ...]) -> None:
    assert parse_key_path(text) == steps


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ".a",
        "a.",
        "a..b",
        "a.[0]",
        "a[",
        "a[]",
        "a[-1]",
        "a[0",
        "a]",
        "a[0]b",
        "a[name]",
        "a[name=]",
        "a[=x]",
        '"a',
        '""',
        'a"b"',
        '"a"b',
        "a b",
        "a\n",
        "[0].",
        r'"a\x"',
        "a[9999999]",
    ],
)
def test_key_path_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key path at character"):
        parse_key_path(text)


@given(
    st.lists(
        st.one_of(st.text(min_size=1), st.integers(0, 999999), st.tuples(*[st.text(min_size=1)] * 2)),
        min_size=1,
    )
)
def test_quoted_key_paths_say_anything(steps: list[str | int | tuple[str, str]]) -> None:
    def quote(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = ""
    for step in steps:
        match step:
            case str():
                text += ("." if text else "") + quote(step)
            case int():
                text += f"[{step}]"
            case (key, value):
                text += f"[{quote(key)}={quote(value)}]"
    assert parse_key_path(text) == tuple(steps)


@pytest.mark.parametrize(
    ("requires", "failing"),
    [
        (">=1.0", None),
        (">=1.2", None),
        (">= 1.2.0.0 , < 2", None),
        ("==1.2", None),
        ("!=1.1", None),
        ("<=1.2", None),
        (">1.1.9", None),
        (">1.2", ">1.2"),
        (">=1.10", ">=1.10"),
        (">=1,<1.2", "<1.2"),
        ("!=1.2.0", "!=1.2.0"),
        ("==1", "==1"),
    ],
)
def test_requires(requires: str, failing: str | None) -> None:
    assert unsatisfied(requires, "1.2.0") == failing
    assert unsatisfied(requires, "1.2.0rc1") == failing
    assert unsatisfied(requires, "1.2") == failing


@pytest.mark.parametrize(
    "requires", ["", "1.0", ">=", ">=1.0,", "~=1.0", "=>1", ">=1.x", ">=1.0 <2", ">=1.", ">=" + "9" * 5000]
)
def test_requires_grammar(requires: str) -> None:
    with pytest.raises(ValueError, match="list of versions"):
        unsatisfied(requires, "1.0")


@pytest.mark.parametrize(
    ("pattern", "tag", "found"),
    [
        (r"^v?\d", "v1.2.3", True),
        (r"^v?\d", "latest", False),
        ("rc", "1.2.3-rc.1", True),
        (r"^\d+(\.\d+)*$", "1.2.3", True),
        (r"^\d+(\.\d+)*$", "1.2.3-rc.1", False),
    ],
)
def test_what_a_pattern_allows(pattern: str, tag: str, found: bool) -> None:
    check_pattern(pattern)
    assert is_found(pattern, tag) is found


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "(.*.*)*x$"])
def test_no_pattern_runs_for_ever(pattern: str) -> None:
    """Python's own engine would take longer than anybody waits."""
    check_pattern(pattern)
    assert not is_found(pattern, "a" * 127 + "!")


@pytest.mark.parametrize("text", ["{environment}/{app}", "plain", "{app}{app}", ""])
def test_placeholders(text: str) -> None:
    check_placeholders(text)


@pytest.mark.parametrize("text", ["{}", "{App}", "{{app}}", "{", "a}", "{app", "{ app }", "{environment.x}"])
def test_placeholders_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"only \{environment\} and \{app\}"):
        check_placeholders(text)


@pytest.mark.parametrize(
    "text",
    ["Bot", "<a@b>", " <a@b>", "Bot <>", "Bot<a@b>", "Bot <a b>", "A\nB <a@b>", "Bot <a@b>\n", "A <b> <c>"],
)
def test_author_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an author"):
        check_author(text)


@given(st.text(alphabet="./\\ab*-gitGIT \n\0", max_size=20))
def test_paths_stay_inside_and_have_one_spelling(text: str) -> None:
    try:
        path = repository_path(text)
    except ValueError:
        return
    assert repository_path(path) == path
    assert not path.startswith(("/", "\\"))
    assert not {"..", ".git", ""} & {part.lower() for part in path.split("/")}
    assert path == "." or "." not in path.split("/")


# --- the schema ----------------------------------------------------------------------------


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "object" else []
    return own + [found for item in schema.values() for found in objects(item)]


def test_the_schema_is_one_and_closed_everywhere() -> None:
    schema = read_schema("promoter")
    Draft202012Validator.check_schema(schema)
    for part in objects(schema):
        assert part["title"]
        assert part["description"]
        rest = part["additionalProperties"]
        assert rest is False or list(rest) == ["$ref"]


def test_the_versions_of_kubernetes_are_those_that_are_bundled() -> None:
    assert bundled_versions() == KUBERNETES_VERSIONS


def test_a_schema_that_was_not_shipped() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_schema("nowhere")


# --- any text at all -----------------------------------------------------------------------


def config_or_error(text: str) -> None:
    failure: ConfigError | None = None
    try:
        assert parse(text).environments
    except ConfigError as error:
        failure = error
    if failure:
        assert failure.file == ".promoter.yaml"
        assert failure.line is not None
        assert 1 <= failure.line <= len(text) + 1
        assert failure.message.startswith(f"line {failure.line}, column ")
        assert failure.next_step
        assert (failure.message + failure.next_step).encode("utf-8")


KEYS = [
    "version",
    "requires",
    "environments",
    "apps",
    "images",
    "targets",
    "exclude",
    "commit",
    "path",
    "publish",
    "on-refused",
    "after",
    "soak",
    "repository",
    "max-changes",
    "allow",
    "platforms",
    "pull-request",
    "group",
    "labels",
    "draft",
    "branch-prefix",
    "title",
    "freeze",
    "from",
    "to",
    "timezone",
    "forge",
    "type",
    "match",
    "order",
    "current",
    "file",
    "image",
    "tag",
    "digest",
    "reference",
    "paths",
    "validate",
    "schemas",
    "commands",
    "run",
    "needs",
    "helm",
    "staging",
    "1",
    "on",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(KEYS)
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
WHOLE = (CASES / "good-whole.yaml").read_text(encoding="utf-8")
TOKENS = [
    "version: 1",
    "\n",
    "  ",
    "- ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!!str ",
    "!<x> ",
    "'",
    '"',
    "|",
    ">",
    "%YAML 1.1",
    "---",
    "...",
    "#",
    "\t",
    "\\",
    "<<",
    "=",
    "0x1",
    "1e9",
    "on",
    "~",
    "path",
    "é",
    "\x85",
]


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    config_or_error(text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=30).map("".join))
def test_any_tokens(text: str) -> None:
    config_or_error(text)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), DATA, max_size=8))
def test_any_data(data: dict[str, Any]) -> None:
    config_or_error(json.dumps({"version": 1, "environments": {"a": {"path": "a"}}, **data}))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 12), st.sampled_from(TOKENS) | st.text(max_size=3))
def test_any_damage(at: int, length: int, other: str) -> None:
    config_or_error(WHOLE[:at] + other + WHOLE[at + length :])
