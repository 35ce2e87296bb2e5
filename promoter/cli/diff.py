"""``promoter diff``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import looking, repeatable

if TYPE_CHECKING:
    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter diff staging production --manifest-repo https://github.com/acme/deploy
  promoter diff staging production --app checkout --output json
"""


@click.command("diff", epilog=EXAMPLES)
@click.argument("a")
@click.argument("b")
@repeatable("--app", metavar="NAME", help="Only this app.")
@repeatable("--image", metavar="NAME", help="Only this image, by its name without tag and digest.")
@looking("text", "json")
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Compare what runs in environment A with what runs in B, image by image.

    Says which is the newer where versions tell, and links the source commits between the two where
    the commits that brought them do. Nothing is changed, and the exit code is 0 in either case.
    """
    from promoter import session
    from promoter.deadline import Deadline
    from promoter.image import InvalidReferenceError, parse_name
    from promoter.options import template

    read.apply_output(output, given)
    asked = template(**read.looked_at(given))
    try:
        images = tuple(parse_name(text) for text in given["image"])
    except InvalidReferenceError as error:
        error.message = f"--image: {error.message}"
        raise
    caller = session.Caller(given["manifest_repo"], dict(os.environ), output.say, base=asked.base)
    with session.at_work(caller, Deadline(given["deadline"]), output.debug) as hands:
        from promoter.overview.diff import diff  # imported while Git fetches

        output.outcome(diff(asked, hands, (given["a"], given["b"]), given["app"], images))
