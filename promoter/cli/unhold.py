"""``promoter unhold``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.hold import name_environment, run
from promoter.cli.options import landing, option
from promoter.errors import UsageError

if TYPE_CHECKING:
    from promoter.cli.output import Output
    from promoter.hands import Hands
    from promoter.options import BumpOptions
    from promoter.outcome import Outcome

EXAMPLES = """\b
Examples:
  promoter unhold production --app api --manifest-repo https://github.com/acme/deploy
"""


@click.command("unhold", epilog=EXAMPLES)
@click.argument("environment", required=False, metavar="[ENV]")
@option("--app", metavar="NAME", help="What is let go.")
@landing
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Let an app go again that an environment holds.

    What waits for it lands with the next run, or with promoter sync. Where nothing is held,
    nothing changes.
    """
    read.apply_output(output, given)
    name_environment(given, required=True)
    if not given["app"]:
        raise UsageError("--app is missing", next_step="name what shall be let go; promoter hold lists it")

    def unhold(options: BumpOptions, hands: Hands) -> Outcome:
        from promoter.holding import unhold

        return unhold(options, hands, given["app"])

    run(output, given, unhold)
