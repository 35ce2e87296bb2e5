"""Cases are files: ``tests/cases/<name>/{before,after,intent.yaml}``, or ``error.txt`` for a refusal.

``intent.yaml`` holds ``args`` for ``promoter bump`` (without ``--manifest-repo``), the ``shapes`` of
``tests/shapes.yaml`` that the case shows, and, where they are not what every case expects, ``status``,
``warnings`` (code and file:line; not those of tags that cannot be compared) and ``notes``: file:line ->
a part of the note of that change.
``after/`` holds only the files that change: every other byte of the repository must stay.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import run_promoter
from tests.support.repos import fsck, git, make_repo

TESTS = Path(__file__).parent
CASES = TESTS / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())

Shapes = set[tuple[str, str]]  # each with its heading


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _tree(repo: Path) -> dict[str, str]:
    listed = git(repo, "ls-tree", "-r", "main").splitlines()
    return {line.split("\t", 1)[1]: line.split("\t", 1)[0] for line in listed}


def _blob(repo: Path, content: bytes) -> str:
    return git(repo, "hash-object", "--stdin", input=content).strip()


def _place(finding: dict[str, Any]) -> list[str]:
    return [f"{finding['file']}:{finding['line']}"] if finding["file"] else []


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES / name
    before = _files(case / "before")
    intent: dict[str, Any] = _read(case / "intent.yaml")
    repo = make_repo(tmp_path / "deploy.git", dict(before))
    tree = _tree(repo)
    result = run_promoter("bump", "--manifest-repo", str(repo), "--output", "json", *intent["args"])
    document = result.document
    assert document is not None, result.stderr
    if (case / "error.txt").exists():
        error = document["error"]
        said = ": ".join((*_place(error), error["message"]))
        assert f"{error['exit']} {said}\n" == (case / "error.txt").read_text(encoding="utf-8")
        assert _tree(repo) == tree
        return
    assert document["error"] is None, document["error"]
    assert document["status"] == intent.get("status", "promoted")
    expected = dict(tree)
    for path, content in _files(case / "after").items():
        mode, kind, _ = tree[path].split(" ")
        expected[path] = f"{mode} {kind} {_blob(repo, content)}"
        assert content != before[path], f"{path} stands in after/ and does not change"
    assert _tree(repo) == expected, git(repo, "diff", "main~1", "main") if result.code == 0 else ""
    warned = [" ".join((one["code"], *_place(one))) for one in document["warnings"]]
    assert [one for one in warned if not one.startswith("unknown-order")] == intent.get("warnings", [])
    notes = {f"{change['file']}:{change['line']}": change for change in document["changes"]}
    for place, part in intent.get("notes", {}).items():
        assert part in f"{notes[place]['status']}: {notes[place]['note']}"
    fsck(repo)


# --- Shapes ----------------------------------------------------------------------------


def _listed() -> tuple[Shapes, dict[tuple[str, str], str]]:
    """The shapes that cases show, and those that a test elsewhere does."""
    by_cases: Shapes = set()
    elsewhere: dict[tuple[str, str], str] = {}
    for heading, shapes in _read(TESTS / "shapes.yaml").items():
        for shape in shapes:
            if isinstance(shape, str):
                by_cases.add((heading, shape))
            else:
                elsewhere.update({(heading, name): node for name, node in shape.items()})
    return by_cases, elsewhere


def _shown(name: str) -> Shapes:
    shapes = _read(CASES / name / "intent.yaml").get("shapes", {})
    return {(heading, shape) for heading, listed in shapes.items() for shape in listed}


def test_every_shape_has_a_case() -> None:
    by_cases, _ = _listed()
    shown = {shape for name in NAMES for shape in _shown(name)}
    assert sorted(by_cases - shown) == [], "no case shows these"
    assert sorted(shown - by_cases) == [], "tests/shapes.yaml does not list these"


def test_every_case_shows_a_shape() -> None:
    assert [name for name in NAMES if not _shown(name)] == [], "their intent.yaml says no shapes"


def test_what_other_tests_show_is_there() -> None:
    _, elsewhere = _listed()
    for node in elsewhere.values():
        module, _, name = node.partition("::")
        tree = ast.parse((TESTS.parent / module).read_text(encoding="utf-8"))
        assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, node


def test_no_shape_is_listed_twice() -> None:
    for heading, shapes in _read(TESTS / "shapes.yaml").items():
        names = [shape if isinstance(shape, str) else next(iter(shape)) for shape in shapes]
        assert len(names) == len(set(names)), heading
