"""``promoter schema``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from promoter.cli.options import apply_reporting, option, reporting
from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.cli.output import Output
    from promoter.validate.crds import ImportedSchema
    from promoter.validate.model import SourceFile

EXAMPLES = """\b
Examples:
  promoter schema print > promoter.schema.json
  promoter schema import-crds crds/*.yaml
  helm template charts/operator --include-crds | promoter schema import-crds - --to schemas/crds
"""
STDIN = "-"
_FILE = click.Path(path_type=Path, allow_dash=True)


@click.group("schema", epilog=EXAMPLES, no_args_is_help=False)
def command() -> None:
    """Print promoter's own schemas, or make some from CustomResourceDefinitions."""


@command.command("print")
@click.argument("name", type=click.Choice(["config", "outcome"]), default="config")
@click.pass_obj
def print_schema(output: Output, /, name: str) -> None:
    """Print the JSON Schema of .promoter.yaml (config), or of what --output json prints (outcome)."""
    from promoter.schema_files import read_schema

    schema = read_schema({"config": "promoter"}.get(name, name))
    output.result(json.dumps(schema, indent=2, ensure_ascii=False))


@command.command("import-crds")
@click.argument("files", metavar="FILE...|-", nargs=-1, required=True, type=_FILE)
@option(
    "--to",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("schemas/crds"),
    show_default=True,
    help="Where the schemas are written; name it as validate.crds in .promoter.yaml.",
)
@reporting
@click.pass_obj
def import_crds(output: Output, /, files: tuple[Path, ...], to: Path, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Turn the CustomResourceDefinitions in some files, or in the standard input, into JSON Schemas.

    One file for each version of each kind. Prints what makes kubeconform read them.
    """
    from promoter.outcome import Notice, Outcome
    from promoter.validate import crds
    from promoter.validate.kubernetes import LAYOUT
    from promoter.validate.library import Library, LoadedSchema

    apply_reporting(output, given)
    schemas = crds.import_crds([_read(file) for file in files])
    # What cannot be used is refused now, not when a manifest meets it.
    Library(loaded=[LoadedSchema(one.path, one.text.encode()) for one in schemas])
    _write(schemas, to)
    for one in schemas:
        output.say(f"{one.kind}: {to / one.path}")
    location = f"-schema-location '{to}/{LAYOUT}'"
    if output.form == "json":
        notice = Notice("schema-location", f"for kubeconform: {location}")
        output.outcome(Outcome(verb="schema", status="unchanged", reason="imported", warnings=(notice,)))
    else:
        output.result(location)


def _read(file: Path) -> SourceFile:
    from promoter.validate.model import SourceFile
    from promoter.validate.values import MAX_BYTES

    if str(file) == STDIN:
        return SourceFile("stdin.yaml", sys.stdin.buffer.read(MAX_BYTES + 1))
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}", next_step="give files that exist, or - for the standard input"
        ) from None
    # Its name is the caller's business: whatever is given is read as YAML.
    return SourceFile(str(file) if file.suffix in (".yaml", ".yml", ".json") else f"{file}.yaml", content)


def _write(schemas: Sequence[ImportedSchema], to: Path) -> None:
    for one in schemas:
        path = to / one.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(one.text, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}", next_step="give another folder with --to"
            ) from None
