"""The command line: the only reader of arguments and of the environment.

Results go to standard output, progress and errors to standard error. Exit status: 0 done, 1 a
check or a claim failed, 2 bad usage or bad input.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.exceptions import TyperException

from flow.cli import certify, evidence, hardware, network, whole
from flow.cli.common import help_alone
from flow.errors import ClaimError, InputError

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From quantized network to FPGA bitstream, with evidence. Start: make demo",
)
for group in (network, hardware, certify, evidence, whole):  # in the order of the help
    app.add_typer(group.verbs)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(f"bitproof {version('bitproof')}")
        raise typer.Exit
    help_alone(context)


def main() -> None:
    """The console script; turns every error that a person can cause into one line and an exit
    status."""
    try:
        status = app(prog_name="bitproof", standalone_mode=False)
        if status == INTERRUPTED:  # what Typer makes of Control-C
            _die("interrupted", INTERRUPTED)
    except TyperException as error:
        _die(_usage(error), 2)
    except InputError as error:
        _die(error, 2)
    except ClaimError as error:
        _die(error, 1)
    except OSError as error:
        _die(error, 2)
    except typer.Abort:
        _die("interrupted", INTERRUPTED)


def _usage(error: TyperException) -> str:
    """Which verb was misused, how, and where its help is."""
    context = getattr(error, "ctx", None)
    verb = "bitproof" if context is None else context.command_path
    what = error.format_message().strip().rstrip(".")
    return f"{what[:1].lower()}{what[1:]}; see `{verb} --help`"


def _die(error: object, status: int) -> None:
    text = " ".join(str(error).split())
    print(f"bitproof: error: {text}", file=sys.stderr)
    sys.exit(status)
