"""``promoter promote``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import between, option, repeatable

if TYPE_CHECKING:
    from promoter.cli.output import Output
    from promoter.options import PromoteOptions

EXAMPLES = """\b
Examples:
  promoter promote staging production --manifest-repo https://github.com/acme/deploy
  promoter promote staging production --app api --dry-run
  promoter promote staging production --image ghcr.io/acme/api:1.4.2
"""


@click.command("promote", epilog=EXAMPLES)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@repeatable("--app", metavar="NAME", help="Only this app; by default every app that both environments run.")
@repeatable(
    "--image",
    metavar="NAME[:TAG]",
    help="Only this image; with its tag where FROM runs several versions of it.",
)
@option(
    "--soaked",
    is_flag=True,
    help="Take the newest version that has been in FROM for TO's soak time, not what runs there now.",
)
@repeatable("--exclude", metavar="GLOB", help="Leave files out, by their path in the manifest repository.")
@option("--pin", is_flag=True, help="Write the digest that FROM runs also where none stands.")
@option("--drop-digest", is_flag=True, help="Remove digests where they stand.")
@option("--require-image", is_flag=True, help="Look in the registry first: the image must exist.")
@option("--allow-downgrade", is_flag=True, help="Also where FROM runs an older version or build than TO.")
@option("--again", is_flag=True, help="Also what already landed in TO and is no longer current there.")
@option("--strict", is_flag=True, help="Fail (4) on unreadable mentions and sites that cannot be edited.")
@read.lift_hold
@between
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Bring what FROM runs to TO: exactly these tags and digests, app by app.

    Images that only one of the two runs are listed and left. Without --app and --image each app is
    decided for itself, and one that is refused does not stop the others; where one that is named is
    refused, nothing lands.
    """
    from promoter.deadline import Deadline

    read.apply_output(output, given)
    deadline, environ = Deadline(given["deadline"]), dict(os.environ)
    asked = _options(given, environ)
    from promoter import session

    caller = read.caller(given, environ, output.say)
    with session.at_work(caller, deadline, output.debug) as hands:
        from promoter.promote import promote  # imported while Git fetches

        output.outcome(promote(asked, hands))


def _options(given: dict[str, Any], environ: dict[str, str]) -> PromoteOptions:
    from promoter.decide import Policy
    from promoter.image import InvalidReferenceError, parse_reference
    from promoter.intent import Request
    from promoter.options import BumpOptions, PromoteOptions

    images = []
    for text in given["image"]:
        try:
            images.append(parse_reference(text))
        except InvalidReferenceError as error:
            raise InvalidReferenceError(f"--image: {error.message}", next_step=error.next_step) from None
    run = BumpOptions(
        request=Request(()),
        origin=read.runner(given, environ),
        style=read.style(given),
        policy=Policy(allow_downgrade=given["allow_downgrade"], again=given["again"], explicit=True),
        environment=given["target"],
        config=read.local_config(given["config"]),
        base=read.branch(given["base"]),
        exclude=read.repository_paths("--exclude", given["exclude"]),
        strict=given["strict"],
        dry_run=given["dry_run"],
        publish=given["publish"],
        require_image=given["require_image"],
        lift_hold=given["lift_hold"],
        override=read.override(given),
    )
    apps = tuple(dict.fromkeys(given["app"]))
    return PromoteOptions(run, given["source"], apps, tuple(images), given["soaked"])
