"""The command line. ``wattswap COMMAND --help`` explains each command with an example.

Exit codes: 0 all is well, 1 a check failed, 2 the input cannot be used (one line on stderr says why), 130 Ctrl-C,
141 who read the output, such as ``head``, stopped.
A command lives in its own file, which imports nothing heavy at its top: help must come at once, on a Raspberry Pi too.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from wattswap.cli.examples import examples
from wattswap.cli.groups import CommandGroup
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "run": "wattswap.cli.run:run",
    "live": "wattswap.cli.live:live",
    "agent": "wattswap.cli.agent:agent",
    "compare": "wattswap.cli.compare:compare",
    "tournament": "wattswap.cli.tournament:tournament",
    "city": "wattswap.cli.city:city",
    "literature": "wattswap.cli.literature:literature",
    "optimum": "wattswap.cli.optimum:optimum",
    "bench": "wattswap.cli.bench:bench",
    "scenarios": "wattswap.cli.scenarios:scenarios",
    "dashboard": "wattswap.cli.dashboard:dashboard",
    "report": "wattswap.cli.report:report",
    "voltages": "wattswap.cli.voltages:voltages",
    "audit": "wattswap.cli.audit:audit",
    "replay": "wattswap.cli.replay:replay",
    "faults": "wattswap.cli.faults:faults",
    "settle": "wattswap.cli.settle:settle",
    "devnet": "wattswap.cli.devnet:devnet",
    "wallet": "wattswap.cli.wallet:wallet",
    "meter": "wattswap.cli.meter:meter",
    "keys": "wattswap.cli.keys:keys",
    "doctor": "wattswap.cli.doctor:doctor",
}
"""Command -> the module that holds it and its name there, in the order of the help."""

BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
UNREAD: Final = 141
"""What a shell says of a program that SIGPIPE ended."""


class Commands(CommandGroup):
    """The commands by name; a module is imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it so
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but an unknown command names the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            nearest = get_close_matches(args[0], COMMANDS, n=1, cutoff=0.0)[0]
            raise InputError(
                f"there is no command {args[0]!r}; the nearest is {nearest!r} (all: {', '.join(COMMANDS)})"
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it, but it is no failed check if whoever read our output has gone."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # without this, flushing at exit would complain once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(UNREAD)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("wattswap run demo", "wattswap run --help"),
)
@click.version_option(package_name="wattswap")
@click.pass_context
def wattswap(ctx: click.Context) -> None:
    """Cars, chargers and transformers that settle by themselves who gives way, and pay each other for it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line (``sys.argv`` by default) and leave with its exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no arrow shows a question mark
    sys.exit(_code(args))


def _code(args: Sequence[str] | None) -> int:
    try:
        code = wattswap.main(args, prog_name="wattswap", standalone_mode=False)
    except InputError as error:
        return _complain(str(error), BAD_INPUT)
    except click.UsageError as error:
        help_of = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        return _complain(error.format_message() + help_of, BAD_INPUT)
    except click.ClickException as error:
        return _complain(error.format_message(), BAD_INPUT)
    except click.Abort:
        return _complain("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _complain(text: str, code: int) -> int:
    """Say what is wrong in one line on stderr."""
    print("wattswap:", " ".join(text.split()), file=sys.stderr)
    return code
