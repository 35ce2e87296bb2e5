"""action.yml says what the program takes, and no more; its lock is the one that was tested."""

import re
import tomllib
from typing import Any

import click
import pytest
import yaml

from promoter.cli import VERBS, promoter
from tests.support.act import ROOT
from tests.support.cli import run_promoter

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
GIVEN: dict[str, str] = STEPS[-1]["env"]
RUN = (ROOT / ".github" / "actions" / "run.sh").read_text(encoding="utf-8")
# Not options: what only variables say (docs/how-to/credentials.md).
CREDENTIALS = {"TOKEN", "USERNAME", "APP_ID", "APP_PRIVATE_KEY", "SSH_KEY", "SSH_KNOWN_HOSTS", "SIGNING_KEY"}
# Verbs for a person at a terminal.
BY_HAND = {"init", "schema", "demo"}


def variables() -> set[str]:
    """Of every option of every verb that the action runs."""
    context = click.Context(promoter)
    commands = [promoter.get_command(context, verb) for verb in VERBS if verb not in BY_HAND]
    options = [
        one for command in commands if command for one in command.params if isinstance(one, click.Option)
    ]
    return {str(option.envvar) for option in options}


def test_every_option_is_an_input() -> None:
    handed = {name.removeprefix("GIVEN_") for name in GIVEN if name.startswith("GIVEN_PROMOTER_")}
    assert handed == variables() | {f"PROMOTER_{name}" for name in CREDENTIALS}


def test_every_verb_is_a_command() -> None:
    [case] = re.findall(r"^case \$GIVEN_COMMAND in\n(.*?)^esac", RUN, re.DOTALL | re.MULTILINE)
    verbs = {
        verb for line in re.findall(r"^    ([a-z |]+)\)", case, re.MULTILINE) for verb in line.split(" | ")
    }
    assert verbs == set(VERBS) - BY_HAND
    assert all(verb in ACTION["inputs"]["command"]["description"] for verb in verbs)


def test_every_input_is_handed_on_once_and_only_as_a_variable() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    in_env = [value for step in STEPS for value in step.get("env", {}).values()]
    used = [name for value in in_env for name in re.findall(r"^\$\{\{ inputs\.([\w-]+) \}\}$", value)]
    assert set(used) | {"cache"} == set(ACTION["inputs"])  # which is a condition
    assert text.count("inputs.") == len(used) + 1
    assert [step["run"] for step in STEPS if "${{" in step.get("run", "")] == []


def test_every_output_is_the_programs() -> None:
    values = {name: said["value"] for name, said in ACTION["outputs"].items()}
    assert values == {name: f"${{{{ steps.promoter.outputs.{name} }}}}" for name in values}


def test_the_lock_is_of_the_project_and_was_tested() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)(?=.*\\\n +--hash=sha256:)", text, re.MULTILINE))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[\[><=]", one)[0].lower().replace(".", "-") for one in project["dependencies"]}
    locked, tested = pins("runtime.txt"), pins("dev.txt")
    assert wanted <= set(locked)
    assert locked == {name: tested.get(name) for name in locked}


@pytest.mark.parametrize("verb", ["bump", "validate"])
def test_an_empty_variable_says_nothing(verb: str) -> None:
    """A workflow that hands on an input that nobody gave sets one."""
    empty = dict.fromkeys(variables() | {f"PROMOTER_{name}" for name in CREDENTIALS}, "")
    arguments = (
        ("--path", "x", "--image", "a/b:1", "--manifest-repo", "/nowhere")
        if verb == "bump"
        else ("/nowhere",)
    )
    with_them = run_promoter(verb, *arguments, env=empty)
    assert with_them.code != 0
    assert "/nowhere" in with_them.stderr
    without = run_promoter(verb, *arguments)
    assert (with_them.code, with_them.stdout, with_them.stderr) == (
        without.code,
        without.stdout,
        without.stderr,
    )
