"""The documentation says what the code does: every option, format, exit code, key and link."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from promoter import errors
from promoter.config import parse_config
from promoter.message import PLACEHOLDERS
from promoter.proposal import marker
from promoter.scan import scan
from promoter.schema_files import read_schema
from promoter.sites import find_sites, is_manifest_name
from promoter.sites.formats import EVERYWHERE, FORMATS, NAMED_OTHERWISE, Format
from promoter.sites.model import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def _page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return generate


@pytest.mark.parametrize("name", ["command-line.md", "formats.md"])
def test_written_pages_are_what_the_program_says(name: str) -> None:
    generate = _generator()
    assert name in generate.PAGES
    assert _page(name) == generate.PAGES[name](), "run `make docs`"


FOUND = [one.name for one in (*EVERYWHERE, *NAMED_OTHERWISE) if one.name not in ("watched", "target")]


@pytest.mark.parametrize("form", [*EVERYWHERE, *NAMED_OTHERWISE], ids=lambda form: form.name)
def test_examples_of_the_formats_are_found(form: Format) -> None:
    name = "kustomization.yaml" if form.name == "kustomize" else "a.yaml"
    if form.name == "target":
        return  # it takes a configuration: the cases show it
    if form.name == "values":
        base = b"image: {repository: ghcr.io/acme/api, tag: 1.0.0}\n"
        files = [("c/values.yaml", base), ("c/values-staging.yaml", form.example.encode())]
        assert [site.format for site in scan(files).sites] == ["values", "split"]
        return
    if form.name == "watched":
        assert scan([(name, form.example.encode())]).sites == ()
        return
    file = read_manifest(name, form.example.encode())
    sites = find_sites(file, formats=EVERYWHERE if form.name == "anywhere" else FORMATS)
    assert {site.format for site in sites} == {form.name}


def test_every_format_has_a_case() -> None:
    missing = set(FOUND)
    told = []
    for case in sorted((ROOT / "tests" / "cases").iterdir()):
        before = case / "before"
        files = [path for path in sorted(before.rglob("*")) if path.is_file()]
        found = scan(
            (path.relative_to(before).as_posix(), path.read_bytes())
            for path in files
            if is_manifest_name(path.name)
        )
        missing -= {site.format for site in found.sites}
        told += [mention.why for mention in found.mentions]
        args = (case / "intent.yaml").read_text(encoding="utf-8")
        missing -= {"anywhere"} if "- anywhere" in args else set()
    assert missing == set()
    assert any("an updater watches" in why for why in told)


def test_every_exit_code_is_documented() -> None:
    classes = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.PromoterError)
    ]
    codes = {one.exit_code for one in classes} | {0, 130, 143}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", _page("exit-codes.md"), re.MULTILINE)}
    assert documented == codes


def test_every_key_of_the_outcome_is_documented() -> None:
    schema = read_schema("outcome")
    page = _page("outcome.md")
    keys = [*schema["properties"], *(key for one in schema["$defs"].values() for key in one["properties"])]
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_every_key_of_the_configuration_is_documented() -> None:
    page = _page("configuration.md")
    keys = set(
        re.findall(
            r'"([a-z-]+)": \{"(?:type|\$ref|description|title|const|enum|oneOf)',
            json.dumps(read_schema("promoter")),
        )
    )
    assert keys >= {"version", "requires", "environments", "targets", "exclude"}
    assert sorted(key for key in keys - {"items", "properties"} if not re.search(rf"\b{key}\b", page)) == []
    assert [name for name in PLACEHOLDERS if f"{{{name}}}" not in page] == []


# --- what promoter writes, and the codes that it gives

# Dealt with where they arise: promoter.publish.converge looks again.
HANDLED = frozenset({"nothing-to-compare"})


def _codes(tree: ast.AST) -> Iterator[str]:
    """Text that is a notice's or gate's code, an argument or a class's ``reason``, or called ``code``."""
    for node in ast.walk(tree):
        given: list[ast.AST] = []
        if isinstance(node, ast.Call):
            given += [one.value for one in node.keywords if one.arg == "reason"]
            given += node.args[:1] if ast.unparse(node.func) in ("Notice", "Gate") else []
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code":
            given.append(node.value)
        if isinstance(node, ast.ClassDef):
            assigned = (one for one in node.body if isinstance(one, ast.Assign))
            given += [one.value for one in assigned if ast.unparse(one.targets[0]) == "reason"]
        for one in given:
            leaves = (leaf.value for leaf in ast.walk(one) if isinstance(leaf, ast.Constant))
            yield from (leaf for leaf in leaves if isinstance(leaf, str))


def test_every_reason_and_warning_is_documented() -> None:
    known = _page("outcome.md") + _page("exit-codes.md")
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "promoter").rglob("*.py"))}
    found = {code: path.name for path, text in sources.items() for code in _codes(ast.parse(text))}
    codes = {code for code in found if re.fullmatch(r"[a-z]+(-[a-z]+)*", code)} - HANDLED
    assert codes >= {"frozen", "approved", "permission", "authentication", "closed-by-person", "downgrade"}
    assert {code: found[code] for code in sorted(codes) if f"`{code}`" not in known} == {}


def test_the_marker_that_is_shown_is_one() -> None:
    [shown] = re.findall(r"^<!-- promoter:.*-->$", _page("pull-requests.md"), re.MULTILINE)
    read = marker.read(f"A description.\n\n{shown}\n")
    assert read is not None
    assert marker.render(read) == shown


def test_every_trailer_is_documented() -> None:
    source = (ROOT / "promoter" / "message.py").read_text(encoding="utf-8")
    trailers = set(re.findall(r'"(Promoter-[A-Za-z-]+)"', source))
    assert trailers >= {"Promoter-Option", "Promoter-From", "Promoter-Id"}
    assert [name for name in trailers if f"| `{name}` |" not in _page("pull-requests.md")] == []


# --- the examples


YAML_BLOCKS = [
    (f"{page.name}:{text.splitlines()[0]}", text)
    for page in PAGES
    for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
]


@pytest.mark.parametrize("text", [text for _, text in YAML_BLOCKS], ids=[name for name, _ in YAML_BLOCKS])
def test_examples_in_yaml_are_what_they_look_like(text: str, tmp_path: Path) -> None:
    """Configurations are read by promoter, CI jobs are checked against their vendors' schemas."""
    block: Any = yaml.safe_load(text)
    if isinstance(block, dict) and True in block:  # to YAML 1.1 `on` is a boolean
        block["on"] = block.pop(True)
    if "environments" in block:
        assert parse_config(text, "example", version="1.0").environments
        return
    is_steps = isinstance(block, list) and not {"run", "uses"}.isdisjoint(block[0])
    if is_steps:
        block = {"on": "push", "jobs": {"build": {"runs-on": "ubuntu-latest", "steps": block}}}
    if "jobs" in block:
        _check_schema(block, "vendor.github-workflows", tmp_path)
    elif any("script" in one for one in block.values() if isinstance(one, dict)):
        _check_schema(block, "vendor.gitlab-ci", tmp_path)


def _check_schema(block: Any, schema: str, tmp_path: Path) -> None:
    file = tmp_path / "example.json"
    file.write_text(json.dumps(block))
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("verb", ["bump", "sync"])
@pytest.mark.parametrize("forge", ["jobs", "script"])
def test_ci_jobs_for_both_forges_are_shown(forge: str, verb: str) -> None:
    """README or the how-to has a job of each kind for each verb."""
    words = {
        ("jobs", "bump"): ("uses: promoter-ci/promoter@", "image: "),
        ("script", "bump"): (".gitlab-ci-template.yml", "bump: true"),
        ("jobs", "sync"): ("run:", "${{", "promoter sync\n"),
        ("script", "sync"): ("script:", "$CI_", "promoter sync\n"),
    }[forge, verb]
    assert any(all(word in text for word in words) for _, text in YAML_BLOCKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
