"""What the template's files say, without running them: equal, valid, and no input in a script."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from promoter import __version__
from promoter.cli import VERBS, promoter
from tests.support.cli import REPOSITORY
from tests.support.gitlab_ci_local import TEMPLATE

TEXT = (REPOSITORY / TEMPLATE).read_text(encoding="utf-8")
EXAMPLES = sorted((REPOSITORY / "examples" / "gitlab").glob("*.yml"))
# Of the template itself; none of them is an option.
OWN = {"PROMOTER_PACKAGE", "PROMOTER_VERSION", "PROMOTER_REQUIREMENTS", "PROMOTER_FROM"}


class _Loader(yaml.SafeLoader):
    """YAML with GitLab's !reference."""


def _reference(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
    assert isinstance(node, yaml.SequenceNode)
    return loader.construct_sequence(node)


_Loader.add_constructor("!reference", _reference)
HEADER, JOBS = yaml.load_all(TEXT, _Loader)


def _check(document: Any, folder: Path) -> None:
    file = folder / "document.json"
    file.write_text(json.dumps(document))
    schema = ["--builtin-schema", "vendor.gitlab-ci", "--regex-variant", "nonunicode"]
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_component_is_the_template() -> None:
    assert (REPOSITORY / "templates" / "promoter.yml").read_text(encoding="utf-8") == TEXT


def test_both_documents_are_valid(tmp_path: Path) -> None:
    _check(HEADER, tmp_path)
    _check(JOBS, tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid_and_give_inputs_that_there_are(example: Path, tmp_path: Path) -> None:
    pipeline = yaml.load(example.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a safe one
    _check(pipeline, tmp_path)
    for included in pipeline.get("include", []):
        for name, value in included.get("inputs", {}).items():
            said = HEADER["spec"]["inputs"][name]
            assert isinstance(value, {"boolean": bool, "number": int}.get(said.get("type", "string"), str))
            assert value in said.get("options", [value])


def test_the_template_installs_the_version_it_belongs_to() -> None:
    assert HEADER["spec"]["inputs"]["version"]["default"] == __version__


def test_defaults_are_what_their_own_rules_allow() -> None:
    for name, said in HEADER["spec"]["inputs"].items():
        assert re.search(said.get("regex", ""), str(said["default"])), name
        assert said["default"] in said.get("options", [said["default"]]), name


def test_no_input_stands_in_a_script_and_none_is_expanded() -> None:
    used = set()
    for name, job in JOBS.items():
        assert "$[[" not in json.dumps(job.get("script", [])), name
        for variable, value in job.get("variables", {}).items():
            text = value["value"] if isinstance(value, dict) else str(value)
            inputs = re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", text)
            used.update(inputs)
            said = [HEADER["spec"]["inputs"][each] for each in inputs]
            closed = all(each.get("type") in ("boolean", "number") or "options" in each for each in said)
            assert closed or value.get("expand") is False, f"{name}: {variable}"
    assert used > {"image", "manifest-repo", "package"}


def test_every_variable_is_an_option() -> None:
    context = click.Context(promoter)
    commands = [promoter.get_command(context, verb) for verb in VERBS]
    read = {option.envvar for command in commands if command for option in command.params}
    given = {
        name for job in JOBS.values() for name in job.get("variables", {}) if name.startswith("PROMOTER_")
    }
    assert given - OWN - read == set()


def test_the_reference_tells_the_inputs_of_the_file() -> None:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = (REPOSITORY / "docs" / "reference" / "gitlab-template.md").read_text(encoding="utf-8")
    assert page == generate.gitlab_template(), "run `make docs`"
    assert all(f"| `{name}` |" in page for name in HEADER["spec"]["inputs"])


def test_the_reference_tells_what_is_filled_in() -> None:
    page = (REPOSITORY / "docs" / "reference" / "gitlab-template.md").read_text(encoding="utf-8")
    [told] = re.findall(r"are filled in, written.*?Any other name", page, re.DOTALL)
    [known] = re.findall(r'KNOWN = """(.*?)"""', TEXT, re.DOTALL)
    assert re.findall(r"`(CI_\w+)`", told) == known.split()
