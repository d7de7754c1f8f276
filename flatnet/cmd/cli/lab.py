"""`flatnet lab ...`: several compute nodes on this machine, to look at."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flatnet.cmd.cli.base import Command, Lister
from flatnet.lab import control, demo, lab
from flatnet.lab.daemon import ServerError
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import program
from flatnet.lab.spec import STATE_DIRECTORY, LabSpec
from flatnet.lab.topology import CONTROL

DEMO = "demo"


def _add_name(parser: argparse.ArgumentParser, default: str = "lab") -> None:
    parser.add_argument(
        "--name",
        default=default,
        help="name of the lab, part of its namespaces' names (%(default)s)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        help=f"its directory ({STATE_DIRECTORY}/NAME)",
    )


def _spec(arguments: argparse.Namespace, nodes: int = 2) -> LabSpec:
    """The lab that the arguments name.

    :raises LabError: we may not make one
    """
    if os.geteuid() != 0:
        raise LabError("the lab needs root, for network namespaces")
    directory = arguments.directory or STATE_DIRECTORY / arguments.name
    return LabSpec(
        name=arguments.name, nodes=nodes, directory=directory.absolute()
    )


@contextlib.contextmanager
def _errors_for_people() -> Iterator[None]:
    """Let only errors out that the tool can print in one line.

    The tail of a log, where there is one, is shown before.
    """
    try:
        yield
    except (LabError, ServerError) as error:
        first, _newline, log = str(error).partition("\n")
        if log:
            print(log, flush=True)
        raise LabError(first) from error
    except ExceptionGroup as errors:
        said = "; ".join(str(error) for error in errors.exceptions)
        raise LabError(f"{errors.message}: {said}") from errors


class Up(Command):
    """Bring a lab up, and leave it up."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_name(parser)
        parser.add_argument(
            "--nodes",
            type=int,
            default=2,
            help="number of compute nodes (%(default)s)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        spec = _spec(parsed_args, parsed_args.nodes)
        lab.ends_in_order()
        with _errors_for_people():
            control.up_in_background(spec, say=print)
        print(f"lab {spec.name} is up; for the operator's tool:")
        tool = f"{program('flatnet')} --config-file {spec.control_conf}"
        print(f"  ip netns exec {spec.namespace(CONTROL)} {tool} host list")


class Status(Lister):
    """List what there is of a lab."""

    columns = ("Member", "Addresses", "Programs")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_name(parser)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        spec = _spec(parsed_args)
        found = control.members(spec)
        if not found:
            raise LabError(f"lab {spec.name} is down")
        rows = [
            (each.name, " ".join(each.addresses), " ".join(each.programs))
            for each in found
        ]
        return self.columns, rows


class Exec(Command):
    """Run a command on a node, in a guest or in the surroundings."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_name(parser)
        parser.add_argument(
            "member", help="node1 ..., a guest, control, switch or outside"
        )
        parser.add_argument("command", help="the program")
        parser.add_argument(
            "arguments", nargs=argparse.REMAINDER, help="its arguments"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return control.execute(
            _spec(parsed_args),
            parsed_args.member,
            [parsed_args.command, *parsed_args.arguments],
        )


class Demo(Command):
    """Show the main job on two nodes with four guests, then go."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_name(parser, DEMO)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        spec = _spec(parsed_args)
        lab.ends_in_order()
        with _errors_for_people():
            return demo.demo(spec)


class Down(Command):
    """Take a lab down, whatever state it is in."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_name(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        spec = _spec(parsed_args)
        with _errors_for_people():
            was_up = lab.down(spec)
        state = "is down" if was_up else "was not up"
        print(f"lab {spec.name} {state}")
