"""``promoter validate``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import option, repeatable, reporting_as
from promoter.errors import UsageError

if TYPE_CHECKING:
    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter validate
  promoter validate --against origin/main --output sarif > promoter.sarif
  promoter validate envs/production --kubernetes 1.33
"""
_PRESENCE = click.Choice(["auto", "required", "off"])


@click.command("validate", epilog=EXAMPLES)
@click.argument("path", nargs=-1)
@option("--env", metavar="NAME", help="Only this environment of the configuration.")
@option(
    "--against",
    metavar="REV",
    help="A revision of the checkout: what it has already does not block; its configuration rules.",
)
@option(
    "--config",
    metavar="FILE",
    help="A local configuration; by default .promoter.yaml of --against, else of the directory.",
)
@repeatable("--exclude", metavar="GLOB", help="Leave files out, by their path in the repository.")
@option("--strict", is_flag=True, help="Errors that --against has already block too.")
@option("--kubernetes", metavar="VERSION", help="The cluster's version, as 1.33.")
@option("--kubeconform", type=_PRESENCE, help="Whether kubeconform looks at the files too.")
@option("--kubeconform-path", metavar="PROGRAM", help="Where kubeconform is; by default on PATH.")
@option("--render", type=_PRESENCE, help="Whether kustomizations and charts are rendered and validated.")
@reporting_as("text", "json", "sarif", "code-quality")
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Validate the files below PATH (by default the current directory), for pull-request CI and by hand.

    YAML syntax, the schema of every kind, what environments render to, and the commands of the configuration,
    which are run here. Exit code 5 where an error stands; with --against REV only where it is new.
    """
    read.apply_reporting(output, given)
    from promoter.deadline import Deadline
    from promoter.validate.checkout import Asked, validate_checkout

    asked = Asked(
        paths=given["path"],
        environment=given["env"],
        against=_revision(given["against"]),
        config=read.local_config(given["config"]),
        exclude=read.repository_paths("--exclude", given["exclude"]),
        how=read.validation(given),
        strict=given["strict"],
    )
    output.outcome(validate_checkout(asked, dict(os.environ), Deadline(given["deadline"])))


def _revision(text: str | None) -> str | None:
    if text is not None and (not text.strip() or not text.isprintable() or text.startswith("-")):
        raise UsageError(f"--against {text!r} is no revision", next_step="give e.g. origin/main or a commit")
    return text
