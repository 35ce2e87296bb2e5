"""Cases are files: ``tests/cases/<name>/{before,after,intent.yaml}``, or ``error.txt`` for a refusal.

``intent.yaml`` holds ``args`` for ``promoter bump`` (without ``--manifest-repo``), and, where they are not
what every case expects, ``status`` and ``notes``: file:line -> a part of the note of that change.
``after/`` holds only the files that change: every other byte of the repository must stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import run_promoter
from tests.support.repos import fsck, git, make_repo

CASES = Path(__file__).parent / "cases"


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


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir() if path.is_dir()))
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES / name
    before = _files(case / "before")
    intent: dict[str, Any] = yaml.safe_load((case / "intent.yaml").read_text(encoding="utf-8"))
    repo = make_repo(tmp_path / "deploy.git", dict(before))
    tree = _tree(repo)
    result = run_promoter("bump", "--manifest-repo", str(repo), "--output", "json", *intent["args"])
    document = result.document
    assert document is not None, result.stderr
    if (case / "error.txt").exists():
        error = document["error"]
        place = f"{error['file']}:{error['line']}: " if error["file"] else ""
        said = f"{error['exit']} {place}{error['message']}\n"
        assert said == (case / "error.txt").read_text(encoding="utf-8")
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
    notes = {f"{change['file']}:{change['line']}": change for change in document["changes"]}
    for place, part in intent.get("notes", {}).items():
        assert part in f"{notes[place]['status']}: {notes[place]['note']}"
    fsck(repo)
