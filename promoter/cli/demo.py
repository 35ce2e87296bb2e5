"""``promoter demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from promoter.cli.output import Output


@click.command("demo")
@click.pass_obj
def command(output: Output, /) -> None:
    """Show the whole story on a throw-away local repository.

    Needs nothing but Git, touches nothing outside a temporary directory.
    """
    from promoter.demo import run_demo

    run_demo(output.result)
