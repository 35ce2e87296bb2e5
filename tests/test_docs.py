"""The documentation says what the code does: every option, format, exit code, key and link."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promoter import errors
from promoter.message import PLACEHOLDERS
from promoter.scan import scan
from promoter.schema_files import read_schema
from promoter.sites import EVERYWHERE, FORMATS, NAMED_OTHERWISE, Format, find_sites, is_manifest_name
from promoter.sites.model import read_manifest

if TYPE_CHECKING:
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
