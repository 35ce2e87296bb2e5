"""``promoter doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import looking

if TYPE_CHECKING:
    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter doctor --manifest-repo https://github.com/acme/deploy
  promoter doctor production --output json
"""


@click.command("doctor", epilog=EXAMPLES)
@click.argument("environments", nargs=-1, metavar="[ENV]...")
@looking("text", "json", forge=True)
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Say what will not work and why, for every environment or only those named. Nothing is written.

    Looks at git and other programs, the configuration, the credential and what it may do, the branch's
    protection, the ways of merging, and the clock. Ends with the code that a run would end with at the
    first problem; warnings are no failure.
    """
    from promoter.deadline import Deadline
    from promoter.doctor.run import doctor
    from promoter.options import template
    from promoter.session import Caller

    read.apply_output(output, given)
    asked = template(**read.looked_at(given))
    caller = Caller(given["manifest_repo"], dict(os.environ), output.say, given["forge_api"], base=asked.base)
    output.outcome(doctor(asked, caller, Deadline(given["deadline"]), output.debug, given["environments"]))
