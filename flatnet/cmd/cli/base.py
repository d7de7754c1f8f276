"""What all commands share: their base classes, and how they speak."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import cliff.command
import cliff.lister
import cliff.show
from cliff.columns import FormattableColumn

from flatnet.exceptions import FlatnetError

PROGRAM = "flatnet"
DEFAULT_CONFIG_FILE = "/etc/flatnet/flatnet.conf"


class UsageError(FlatnetError):
    """The command line is wrong: exit status 2."""


class Unconfirmed(FlatnetError):
    """Nobody has said that it is to be done."""


def say(text: str) -> None:
    """Print one line on stderr, whatever the text holds."""
    line = " ".join(text.split())
    # Names come from rows that anybody wrote: no escape sequences.
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    print(f"{PROGRAM}: {shown}", file=sys.stderr)


def warn(text: str) -> None:
    """Say what may be wrong, though the command did its work."""
    say(f"warning: {text}")


class Command(cliff.command.Command):
    """A command; `columns` are those that its answer has."""

    # The global options; cliff has none for commands that it only lists.
    app_args: argparse.Namespace
    columns: ClassVar[tuple[str, ...]] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser; commands add to it in `add_arguments`."""
        parser = super().get_parser(prog_name)
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of this command, if it has any."""

    def get_epilog(self) -> str:
        """Return no text: cliff would look through all packages for it."""
        return ""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run it, unless columns are wanted that it does not have."""
        for wanted in getattr(parsed_args, "columns", ()):
            if _column(wanted) not in map(_column, self.columns):
                raise UsageError(
                    f"{self.cmd_name} has no column {wanted!r}, only "
                    f"{', '.join(self.columns)}"
                )
        return super().run(parsed_args)


class Lister(Command, cliff.lister.Lister):
    """A command that answers with a table."""


class ShowOne(Command, cliff.show.ShowOne):
    """A command that answers with one thing."""


class Pairs(FormattableColumn[Mapping[str, Any]]):
    """A mapping in a cell: `name=value` lines for people."""

    def human_readable(self) -> str:
        return "\n".join(
            f"{key}={value}" for key, value in self._value.items()
        )

    def machine_readable(self) -> dict[str, Any]:
        return dict(self._value)


class Lines(FormattableColumn[Sequence[Any]]):
    """A sequence in a cell: one line each for people."""

    def human_readable(self) -> str:
        return "\n".join(map(_line, self._value))

    def machine_readable(self) -> list[Any]:
        return list(self._value)


def _line(value: Any) -> str:
    """One element of a cell as text; of a mapping, what it says."""
    if not isinstance(value, Mapping):
        return str(value)
    return " ".join(
        f"{key}={each}" for key, each in value.items() if each is not None
    )


def _column(name: str) -> str:
    """The name of a column as cliff compares it."""
    return name.lower().strip().replace(" ", "_")
