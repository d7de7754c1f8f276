"""The command line: global options, then a command, found without imports.

cliff finds a command, parses its options and prints its answer.  What cliff
does with mistakes is replaced here, for it speaks in many lines: nothing is
caught, so that `flatnet.cmd.cli.main` tells every error in one place.
"""

import argparse
import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Any, NoReturn

import cliff.app
from cliff.command import Command as CliffCommand
from cliff.commandmanager import CommandManager

from flatnet import __version__
from flatnet.cmd.cli.base import (
    DEFAULT_CONFIG_FILE,
    PROGRAM,
    Command,
    UsageError,
)
from flatnet.cmd.cli.commands import COMMANDS


class Parser(argparse.ArgumentParser):
    """A parser of the global options, whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print with the usage before it."""
        raise UsageError(f"{message}; see {PROGRAM} --help")


class FlatnetApp(cliff.app.App):
    """The tool; `run` returns an exit status or raises."""

    NAME = PROGRAM
    LOG = logging.getLogger(PROGRAM)

    def __init__(self) -> None:
        super().__init__(
            description="Operate flat networks for virtual machines.",
            version=__version__,
            command_manager=CommandManager(),
        )
        self.command_manager.commands.update(
            (name, EntryPoint(name, target, PROGRAM))
            for name, target, _ in COMMANDS
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,  # noqa: ARG002
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Return the parser of the options that stand before the command."""
        parser = Parser(
            prog=PROGRAM,
            usage=f"{PROGRAM} [OPTION ...] COMMAND ...",
            description=description,
            epilog="\n".join(
                ("commands (--help after one shows its options):", *listed(""))
            ),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **(argparse_kwargs or {}),
        )
        _add_options(parser)
        parser.add_argument(
            "words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS
        )
        return parser

    def configure_logging(self) -> None:
        """Log to stderr with --debug, else nowhere."""
        if self.options.debug:
            logging.basicConfig(
                level=logging.DEBUG,
                format="%(asctime)s %(levelname)s %(name)s %(message)s",
            )
        else:
            # Without any handler Python prints warnings.
            logging.getLogger().addHandler(logging.NullHandler())

    def run(self, argv: list[str]) -> int:
        """Run one command; raise what goes wrong."""
        if not all(map(_is_text, argv)):
            raise UsageError("an argument is not valid UTF-8")
        self.options = self.parser.parse_args(argv)
        self.configure_logging()
        if not self.options.words:
            raise UsageError(f"which command? see {PROGRAM} --help")
        return self.run_subcommand(self.options.words)

    def run_subcommand(self, argv: list[str]) -> int:
        """Run the command that `argv` begins with."""
        if argv[-1] in ("-h", "--help") and list(listed(" ".join(argv[:-1]))):
            argv = ["help", *argv[:-1]]
        factory, name, arguments = self.found(argv)
        command = factory(self, self.options, cmd_name=name)
        parser = command.get_parser(f"{PROGRAM} {name}")

        def refuse(message: str) -> NoReturn:
            raise UsageError(f"{name}: {message}; see {PROGRAM} help {name}")

        # cliff makes the parser, so this is the only way to its errors.
        parser.error = refuse  # type: ignore[method-assign]
        return command.run(parser.parse_args(arguments))

    def found(
        self, words: list[str]
    ) -> tuple[type[CliffCommand], str, list[str]]:
        """Return a command's class, its name and the words after it.

        :raises UsageError: there is no such command
        """
        try:
            return self.command_manager.find_command(words)
        except ValueError as error:
            known = self.command_manager.commands
            name = " ".join(_before_options(words))
            similar = [each for each in known if each.startswith(name)]
            similar = similar or self.get_fuzzy_matches(words[0])
            raise UsageError(
                f"{name!r} is no command; did you mean "
                f"{', '.join(sorted(similar))}? see {PROGRAM} --help"
            ) from error
        except ImportError as error:
            raise UsageError(
                f"{' '.join(words)!r} cannot run here: {error}"
            ) from error


class Help(Command):
    """Show what a command does and takes."""

    app: FlatnetApp

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("words", metavar="COMMAND", nargs="*")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        words = parsed_args.words
        several = list(listed(" ".join(words)))
        if not words:
            self.app.parser.print_help()
        elif several:
            print("commands:", *several, sep="\n")
        else:
            factory, name, _ = self.app.found(words)
            command = factory(self.app, self.app_args, cmd_name=name)
            command.get_parser(f"{PROGRAM} {name}").print_help()


def listed(beginning: str) -> Iterable[str]:
    """Lines that list the commands of a noun, or all of them."""
    begins = f"{beginning} " if beginning else ""
    rows = [row for row in COMMANDS if row[0].startswith(begins)]
    width = max((len(name) for name, _, _ in rows), default=0)
    return (f"  {name:{width}}  {summary}" for name, _, summary in rows)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}"
    )
    parser.add_argument(
        "--config-file",
        metavar="FILE",
        action="append",
        default=[],
        help="a configuration file; may be repeated "
        f"({DEFAULT_CONFIG_FILE}, if it exists)",
    )
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        action="append",
        default=[],
        help="a directory of *.conf files, read after the files; may be "
        "repeated",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="log to stderr what is done, with tracebacks",
    )


def _before_options(words: list[str]) -> Iterable[str]:
    for word in words:
        if word.startswith("-"):
            return
        yield word


def _is_text(argument: str) -> bool:
    """Whether it was UTF-8 before Python decoded it."""
    return argument.isprintable() or all(
        not "\ud800" <= character <= "\udfff" for character in argument
    )
