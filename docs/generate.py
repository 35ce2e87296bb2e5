"""Write ``docs/reference/command-line.md`` from the command line itself: ``make docs``."""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from promoter.cli import VERBS, promoter

TARGET = Path(__file__).parent / "reference" / "command-line.md"

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


def render() -> str:
    """The whole page."""
    pieces = [INTRODUCTION]
    context = click.Context(promoter)
    for verb in VERBS:
        command = promoter.get_command(context, verb)
        assert command is not None, verb
        pieces.append(f"## promoter {verb}\n\n{inspect.cleandoc(command.help or '')}\n")
        options = [one for one in command.params if isinstance(one, click.Option)]
        if options:
            rows = "\n".join(_row(option) for option in options)
            pieces.append(f"| option | variable | |\n|---|---|---|\n{rows}\n")
    return "\n".join(pieces)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
