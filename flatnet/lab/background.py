"""The process that holds a lab between `lab up` and `lab down`.

It tells its steps on its output, each in a line that begins with `- `, then
says `up` and waits for a signal, or says what went wrong.
"""

import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

from flatnet.exceptions import FlatnetError
from flatnet.lab.lab import Lab
from flatnet.lab.server_process import ServerError
from flatnet.lab.signals import ends_in_order
from flatnet.lab.spec import LabSpec

IS_UP = "up"
STEP = "- "


def main() -> int:
    """Hold the lab NAME with NODES nodes in DIRECTORY."""
    warnings.simplefilter("ignore")
    name, nodes, directory = sys.argv[1:]
    spec = LabSpec(name=name, nodes=int(nodes), directory=Path(directory))
    ends_in_order()
    lab = Lab(spec, say=lambda step: _say(STEP + step))
    try:
        lab.up()
    except (FlatnetError, ServerError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    try:
        _say(IS_UP)
        _leave_terminal(spec.directory / "keeper.log")
        with suppress(KeyboardInterrupt):
            while True:
                signal.pause()
    finally:
        lab.down()
    return 0


def _say(line: str) -> None:
    # Who started us may be gone, and the lab has to go down all the same.
    with suppress(BrokenPipeError):
        print(line, flush=True)


def _leave_terminal(log: Path) -> None:
    """From now on write to a file: nobody reads our output any more."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ExceptionGroup:
        traceback.print_exc()
        sys.exit(1)
