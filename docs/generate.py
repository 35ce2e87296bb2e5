"""Write the pages of ``docs/reference`` that the program itself tells: ``make docs``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click
import yaml

from promoter.cli import VERBS, promoter
from promoter.sites.formats import EVERYWHERE, NAMED_OTHERWISE, Format

REFERENCE = Path(__file__).parent / "reference"
GITLAB_TEMPLATE = Path(__file__).parents[1] / ".gitlab-ci-template.yml"
ACTION = Path(__file__).parents[1] / "action.yml"
INPUTS_BEGIN, INPUTS_END = "<!-- inputs: made by `make docs` -->", "<!-- end of inputs -->"

INTRODUCTION = """\
# Command line

Written by `make docs` from the program; a test keeps it true.

Every option also reads the variable beside it; a repeatable one is newline-separated there. Credentials come
from variables only: see [credentials](../how-to/credentials.md). Text for people goes to stderr, the result
to stdout. [Exit codes](exit-codes.md) are the same for every verb.
"""


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    value = ""
    if not option.is_flag:
        choices = option.type.choices if isinstance(option.type, click.Choice) else None
        value = f" `{'|'.join(map(str, choices))}`" if choices else f" `{option.metavar or 'TEXT'}`"
    notes = [option.help or ""]
    if option.multiple:
        notes.append("Repeatable.")
    if option.default not in (None, False, ()) and option.show_default:
        notes.append(f"Default: `{option.default}`.")
    return f"| {names}{value.replace('|', '&#124;')} | `{option.envvar}` | {' '.join(notes)} |"


def command_line() -> str:
    """The page of verbs and options."""
    pieces = [INTRODUCTION]
    context = click.Context(promoter)
    for verb in VERBS:
        command = promoter.get_command(context, verb)
        assert command is not None, verb
        operands = "".join(
            f" [{one.name.upper()}]" for one in command.params if isinstance(one, click.Argument) and one.name
        )
        pieces.append(f"## promoter {verb}{operands}\n\n{inspect.cleandoc(command.help or '')}\n")
        options = [one for one in command.params if isinstance(one, click.Option)]
        if options:
            rows = "\n".join(_row(option) for option in options)
            pieces.append(f"| option | variable | |\n|---|---|---|\n{rows}\n")
    return "\n".join(pieces)


FORMATS_INTRODUCTION = """\
# Formats

Written by `make docs` from the registry of formats; a test keeps it true. `promoter scan` shows for every
reference in a repository which of these it is, and whether an edit would move it.

Files: `*.yaml`, `*.yml`, `*.json` and kustomizations, in every encoding detail that UTF-8 allows: CRLF,
byte order mark, comments, flow style, anchors, several documents. A target may have any name. Documents
inside strings (block scalars, JSON in annotations) are read and edited through both levels. Go template
actions are masked: a literal reference beside them is a site, one built from an action is none.
"""

LEFT_AND_REFUSED = """\
## What is left, and why

* A container that a kustomize `images[]` entry overrides, or one of the Flux Kustomization that builds its
  directory, is *shadowed*: the entry moves, the container stays. So is an entry whose image a later one
  takes on. This is claimed only where every kustomization that reaches the file overrides it.
* What `.argocd-source*.yaml` in an Application's directory overrides, a tag that is a variable set by a Flux
  Kustomization, and an OCIRepository's tag beside `semver` are shadowed likewise.
* Where some sites hold a tag of the wanted tag's *line* (the same words around the version: `-alpine`,
  `-master`), only these move.
* An anchor moves when every image that uses it moves to the same tag and digest in this run.
* Comments, names without a version, and references in other strings are *mentions*: `scan` lists them with
  the reason, `--match anywhere` edits those in strings.

## What is refused

A duplicate key on the site's own path, values written over several lines, `newName` that holds a tag, an
anchor that another image uses, what SOPS has encrypted or signed, a file that cannot be read and is the only
one to mention the image. Limits: 16 MiB a file, 200 levels, a million nodes after aliases.
"""


def _format(one: Format) -> str:
    return f"## {one.name}\n\n{one.summary}\n\nMoves: {one.moves}.\n\n```yaml\n{one.example}```\n"


def formats() -> str:
    """The page of formats, in the order in which they are looked for."""
    return "\n".join([FORMATS_INTRODUCTION, *map(_format, (*EVERYWHERE, *NAMED_OTHERWISE)), LEFT_AND_REFUSED])


def _input(name: str, said: dict[str, Any]) -> str:
    kind = said.get("type", "string")
    form = (
        " or ".join(f"`{one}`" if one else "empty" for one in said["options"]) if "options" in said else kind
    )
    default = f"`{said['default']}`".lower() if kind == "boolean" else f"`{said['default']}`"
    description = " ".join(said["description"].split())
    return f"| `{name}` | {form} | {default if said['default'] != '' else ''} | {description} |"


def gitlab_template() -> str:
    """The page of the GitLab template, with its inputs as the template itself tells them."""
    head, _, rest = (REFERENCE / "gitlab-template.md").read_text(encoding="utf-8").partition(INPUTS_BEGIN)
    inputs = next(yaml.safe_load_all(GITLAB_TEMPLATE.read_text(encoding="utf-8")))["spec"]["inputs"]
    rows = "\n".join(_input(name, said) for name, said in inputs.items())
    table = f"| input | form | default | |\n|---|---|---|---|\n{rows}\n"
    return f"{head}{INPUTS_BEGIN}\n{table}{INPUTS_END}{rest.partition(INPUTS_END)[2]}"


def action() -> str:
    """The page of the GitHub Action, with inputs and outputs as action.yml tells them."""
    head, _, rest = (REFERENCE / "action.md").read_text(encoding="utf-8").partition(INPUTS_BEGIN)
    described = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    defaults = {name: f" Default: `{one['default']}`." for name, one in described["inputs"].items()}
    inputs = "\n".join(
        f"| `{name}` | {one['description']}{defaults[name] if one['default'] else ''} |"
        for name, one in described["inputs"].items()
    )
    outputs = "\n".join(f"| `{name}` | {one['description']} |" for name, one in described["outputs"].items())
    tables = f"| input | |\n|---|---|\n{inputs}\n\n## Outputs\n\n| output | |\n|---|---|\n{outputs}\n"
    return f"{head}{INPUTS_BEGIN}\n{tables}{INPUTS_END}{rest.partition(INPUTS_END)[2]}"


PAGES = {
    "action.md": action,
    "command-line.md": command_line,
    "formats.md": formats,
    "gitlab-template.md": gitlab_template,
}

if __name__ == "__main__":
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")
