"""`flatnet lab ...`: several compute nodes on this machine, to look at."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cliff.columns import FormattableColumn

from flatnet.cmd.cli.base import Command, Lister, say
from flatnet.lab import control, demo, lab
from flatnet.lab.bench import bench, plot, table
from flatnet.lab.bench.figure import Row
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import program
from flatnet.lab.server_process import ServerError
from flatnet.lab.signals import ends_in_order
from flatnet.lab.spec import STATE_DIRECTORY, LabSpec
from flatnet.lab.topology import CONTROL

DEMO, BENCH = "demo", "bench"
_EVERY_SIZE = 1_000_000


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
        ends_in_order()
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
        ends_in_order()
        with _errors_for_people():
            return demo.demo(spec)


class Number(FormattableColumn[float | None]):
    """A number in a cell, with few digits for people."""

    def human_readable(self) -> str:
        return table.short(self._value)

    def machine_readable(self) -> float | None:
        return self._value


class ByProcess(FormattableColumn[Mapping[str, float]]):
    """What processes used up, in one line for people."""

    def human_readable(self) -> str:
        return table.by_process(self._value)

    def machine_readable(self) -> dict[str, float]:
        return dict(self._value)


class Bench(Lister):
    """Measure what flatnet costs, each figure beside its floor.

    It takes half an hour and wants an idle machine; --quick takes under 3
    minutes and tells whether everything can be measured.  Exit status 1 says
    that something could not, and not that a goal is missed.
    """

    columns = table.COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_name(parser, BENCH)
        parser.add_argument(
            "--quick", action="store_true", help="a short look at each figure"
        )
        parser.add_argument(
            "--only",
            metavar="TEXT",
            action="append",
            default=[],
            help="only figures with this in their names; may be repeated",
        )
        parser.add_argument(
            "--most",
            metavar="N",
            type=int,
            default=_EVERY_SIZE,
            help="no more than N instances on a host",
        )
        parser.add_argument(
            "--json", metavar="FILE", type=Path, help="write the rows there"
        )
        parser.add_argument(
            "--plot",
            metavar="FILE",
            type=Path,
            help="write a picture of cost against size there, as PNG",
        )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        spec = _spec(parsed_args)
        chosen = bench.choice(
            quick=parsed_args.quick,
            only=tuple(parsed_args.only),
            most=parsed_args.most,
        )
        if parsed_args.plot:
            plot.check_possible()
        for path in filter(None, (parsed_args.json, parsed_args.plot)):
            if not path.absolute().parent.is_dir():
                raise LabError(f"{path}: there is no such directory")
        ends_in_order()
        with _errors_for_people():
            rows = list(bench.rows(spec, chosen, say=_say_aside))
        if parsed_args.json:
            table.write_json(parsed_args.json, rows)
        if parsed_args.plot:
            plot.write(parsed_args.plot, rows)
        self._failed = [row for row in rows if row.error]
        return self.columns, list(map(_bench_cells, rows))

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Measure; tell on stderr what could not be."""
        status = super().run(parsed_args)
        for row in self._failed:
            say(f"{row.figure} at {row.size}: {row.error}")
        return 1 if self._failed else status


def _bench_cells(row: Row) -> tuple[Any, ...]:
    return (
        row.figure,
        row.size,
        Number(row.value),
        row.unit,
        Number(row.floor),
        Number(row.ratio),
        row.goal,
        row.met,
        ByProcess(row.cpu_ms),
    )


def _say_aside(line: str) -> None:
    """Tell a step where it does not get into the answer."""
    print(f"- {line}", file=sys.stderr, flush=True)


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
