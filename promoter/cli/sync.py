"""``promoter sync``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import on_repository

if TYPE_CHECKING:
    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter sync --manifest-repo https://github.com/acme/deploy
  promoter sync --manifest-repo https://gitlab.com/acme/deploy --env production
"""


@click.command("sync", epilog=EXAMPLES)
@on_repository
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Bring every open promotion pull request up to date with the base.

    What conflicts or says something else now is rebuilt, what says nothing any more is closed,
    gates are turned, and what may land is landed where auto-merge is configured. Run it on each push to the
    base and on a schedule; it is safe beside bumps. With --env or --path only that environment's.
    """
    from promoter.deadline import Deadline

    read.apply_output(output, given)
    deadline, environ = Deadline(given["deadline"]), dict(os.environ)
    from promoter.options import template

    asked = template(**read.anywhere(given))
    from promoter import session

    caller = read.caller(given, environ, output.say)

    with session.at_work(caller, deadline, output.debug) as hands:
        from promoter.sync import sync  # imported while Git fetches

        output.outcome(sync(asked, hands))
