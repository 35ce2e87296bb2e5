"""The command line: one module per verb, loaded when it is asked for. The only place that exits."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from promoter import __version__
from promoter.cli.output import Output, silence
from promoter.errors import InterruptedRunError, PromoterError, UsageError

if TYPE_CHECKING:
    from types import FrameType

# Verb -> what it does. The modules are imported one at a time: `promoter --help` stays fast.
VERBS = {
    "bump": "Make images current in an environment, after a build.",
    "promote": "Bring what one environment runs to the next.",
    "rollback": "Take an app back to what ran before, and keep it there.",
    "sync": "Refresh, close or land the open promotion pull requests.",
    "hold": "Keep an app as it is in an environment, or list what is held.",
    "unhold": "Let it go again.",
    "status": "Show what runs where: apps by environments.",
    "diff": "Compare what two environments run.",
    "history": "Show what landed where: who, when, from what to what.",
    "scan": "List every image reference, and how it would be edited.",
    "validate": "Validate manifests: schemas, renders, policies; for pull-request CI.",
    "init": "Write a first .promoter.yaml from what is there.",
    "doctor": "Say what will not work, and why; nothing is written.",
    "schema": "Print promoter's own schemas, or make some from CRDs.",
    "demo": "Show the whole story on a throw-away local repository.",
}


class Verbs(click.Group):
    """A group whose commands live in modules of the same name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs in the order of the documentation."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"promoter.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The table of verbs, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every option also reads PROMOTER_<OPTION>; a repeatable one is newline-separated there.",
)
@click.version_option(__version__, prog_name="promoter")
def promoter() -> None:
    """Move container images through environments in a GitOps manifest repository."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code. Nothing but the verbs and this function prints."""
    output = Output.from_arguments(arguments, os.environ)
    _raise_on_signals()
    try:
        promoter.main(arguments, prog_name="promoter", standalone_mode=False, obj=output)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        return output.error(_usage_error(error))
    except (KeyboardInterrupt, click.Abort):
        return output.error(InterruptedRunError(signal.SIGINT))
    except PromoterError as error:
        return output.error(error)
    except BrokenPipeError:
        silence(sys.stdout)  # the reader of a help text has gone
        return 0
    except OSError as error:
        from promoter.git.door import machine_failure

        return output.error(machine_failure(error))
    except Exception as error:  # noqa: BLE001 - a bug still ends in one document and an exit code
        return output.bug(error)
    return output.exit_code


def _usage_error(error: click.ClickException) -> UsageError:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return UsageError(f"no verb is given: {', '.join(VERBS)}", next_step="promoter --help tells more")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "promoter"
    return UsageError(error.format_message(), next_step=f"{command} --help lists the options")


def _raise_on_signals() -> None:
    """SIGINT and SIGTERM end the run as errors do: children stopped, files removed, one document."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
        # Once only: a second signal must not cut the cleaning up short. Not SIG_IGN, of which
        # Python complains when the second one is on its way already.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        raise InterruptedRunError(number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
