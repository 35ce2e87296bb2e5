"""``promoter history``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import looking, option
from promoter.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter history --manifest-repo https://github.com/acme/deploy
  promoter history production --app checkout --since 2026-03-01
  promoter history production --metrics --since 30d --output json
"""


@click.command("history", epilog=EXAMPLES)
@click.argument("environment", required=False, metavar="[ENV]")
@option("--app", metavar="NAME", help="Only this app.")
@option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="At most so many landings.",
)
@option(
    "--since",
    metavar="TIME",
    help="Not what is older: as 2026-12-24T12:00:00Z, 2026-12-24 (UTC), or back from now: 90m, 2h, 3d.",
)
@option(
    "--metrics",
    is_flag=True,
    help="Instead: deployment frequency, lead time and rollback rate, by default of the last 90 days.",
)
@looking("text", "json")
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Show what landed in an environment, or in all: who, when, from what to what, by which run.

    Read from what stood in the files, so that edits by hand, reverts, squashes and other tools'
    commits are shown too. Older history is fetched as far as it is asked for, up to 5,000 commits.
    """
    from datetime import UTC, datetime

    from promoter import session
    from promoter.deadline import Deadline
    from promoter.options import template

    read.apply_output(output, given)
    now = datetime.now(UTC)
    since = _since(given["since"], now)
    asked = template(**read.looked_at(given))
    caller = session.Caller(given["manifest_repo"], dict(os.environ), output.say, base=asked.base)
    with session.at_work(caller, Deadline(given["deadline"]), output.debug) as hands:
        from promoter.past.history import DEFAULT_WINDOW, Asked, history  # imported while Git fetches

        if given["metrics"]:
            since, given["limit"] = since or now - DEFAULT_WINDOW, None
        what = Asked(given["environment"], given["app"], given["limit"], since, given["metrics"], now)
        output.outcome(history(asked, hands, what))


def _since(text: str | None, now: datetime) -> datetime | None:
    """A time, or a span back from now. Raises UsageError."""
    if not text:
        return None
    from datetime import UTC, datetime

    from promoter.config.gates import parse_span

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - parse_span(text)
        except ValueError:
            raise UsageError(
                f"--since: {text[:40]!r} is no time",
                next_step="write it as 2026-12-24T12:00:00Z, 2026-12-24 or 90d",
            ) from None
    if moment.tzinfo is None:
        if len(text) > len("2026-12-24"):
            raise UsageError(
                f"--since: {text[:40]!r} has no time zone", next_step="put a Z behind it for UTC"
            )
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise UsageError(
            f"--since: {text[:40]!r} is no time that UTC has a year for", next_step="write a later one"
        ) from None
