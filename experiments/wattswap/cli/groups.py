"""A group of commands whose help tells of each command in a whole sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


class CommandGroup(click.Group):
    """Lists its commands as click does, but wraps what each is for where click would cut it short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every command with the first sentence of its help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._sentences(ctx)))

    def _sentences(self, ctx: click.Context) -> Iterator[tuple[str, str]]:
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                paragraph = " ".join((command.help or "").partition("\n\n")[0].split())
                yield name, paragraph.partition(". ")[0].removesuffix(".")
