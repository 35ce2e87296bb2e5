"""Shell completion: the scripts that the how-to names, and what they offer."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import PROGRAM, REPOSITORY, environment_of, run_promoter

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (REPOSITORY / "docs" / "how-to" / "shell-completion.md").read_text(encoding="utf-8")
# What makes the script one for this shell: the command that binds it to the program's name.
BINDS = {
    "bash": r"^\s*complete .*\bpromoter$",
    "zsh": r"^\s*compdef \S+ promoter$",
    "fish": r"^complete .*--command promoter\b",
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path on which promoter is the one of this checkout."""
    script = tmp_path / "bin" / "promoter"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return f"{script.parent}:{environment_of()['PATH']}"


def bash(path: str, script: str) -> list[str]:
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        env={**environment_of(), "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", BINDS)
def test_each_shell_gets_its_script(shell: str) -> None:
    assert f"_PROMOTER_COMPLETE={shell}_source promoter" in PAGE
    result = run_promoter(env={"_PROMOTER_COMPLETE": f"{shell}_source"})
    assert (result.code, result.stderr) == (0, "")
    assert re.search(BINDS[shell], result.stdout, re.MULTILINE)
    assert f"_PROMOTER_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ro"], ["rollback"]),
        (["un"], ["unhold"]),
        (["bump", "--pub"], ["--publish"]),
        (["bump", "--publish", ""], ["push", "pull-request"]),
        (["rollback", "production", "--st"], ["--steps"]),
        (["nothing", "--pub"], []),
    ],
    ids=" ".join,
)
def test_bash_completes(path: str, words: list[str], offered: list[str]) -> None:
    """The page's own line, in a real shell; then what the Tab key does."""
    [line] = re.findall(r"^```bash\n(.*)\n```$", PAGE, re.MULTILINE)
    script = "\n".join(
        [
            line,
            f"COMP_WORDS=({shlex.join(['promoter', *words])}) COMP_CWORD={len(words)}",
            "$(complete -p promoter | sed 's/.*-F \\([^ ]*\\).*/\\1/') promoter",
            'printf "%s\\n" "${COMPREPLY[@]}"',
        ]
    )
    assert [one for one in bash(path, script) if one] == offered


def test_what_runs_a_verb_is_not_loaded() -> None:
    """Each press of the Tab key starts the program: Git's and the forges' side of it would be felt."""
    env = {"_PROMOTER_COMPLETE": "bash_complete", "COMP_WORDS": "promoter ", "COMP_CWORD": "1"}
    result = run_promoter(env={**env, "PYTHONPROFILEIMPORTTIME": "1"})
    assert result.stdout.splitlines()[0] == "plain,bump"
    loaded = set(re.findall(r"\| +(\S+)$", result.stderr, re.MULTILINE))
    assert "promoter.cli.options" in loaded
    heavy = {"requests", "github", "gitlab", "jsonschema", "ruamel.yaml", "yaml", "promoter.session"}
    assert loaded & heavy == set()
