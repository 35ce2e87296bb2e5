"""The documentation says what the code does: every option, every exit code, every key, every link."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from promoter import errors
from promoter.message import PLACEHOLDERS
from promoter.schema_files import read_schema

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def _page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def test_command_line_page_is_what_the_program_says() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert _page("command-line.md") == generate.render(), "run `make docs`"


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
    assert sorted(key for key in keys - {"items"} if not re.search(rf"\b{key}\b", page)) == []
    assert [name for name in PLACEHOLDERS if f"{{{name}}}" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
