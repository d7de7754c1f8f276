"""Runs the operator's tool, each time in a process of its own.

To import libraries, and to free them at its end, takes most of the time of a
command.  So the slow ones are imported once, and each process is forked after
that; all of flatnet is imported by each, as the command does.

It reads lines of JSON, the arguments and the files that stdout and stderr go
to, and answers each with an exit status.
"""

import atexit
import gc
import importlib
import json
import os
import sys

LIBRARIES = (
    "alembic.command",
    "cliff.app",
    "cliff.lister",
    "oslo_config.cfg",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.sqlite",
    "tenacity",
)


def serve():
    """Answer until stdin ends; a child returns, as what it is to run."""
    for line in sys.stdin:
        words, output, errors = json.loads(line)
        child = os.fork()
        if child == 0:
            become(words, output, errors)
            return
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)
    sys.exit(0)


def become(words, output, errors):
    """Take on a command's arguments, and its stdin, stdout and stderr."""
    sys.argv = ["flatnet", *words]
    for number, path in enumerate((os.devnull, output, errors)):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    for name in LIBRARIES:
        importlib.import_module(name)
    # What is not looked at is not copied.
    gc.freeze()
    serve()
    from flatnet.cmd.cli.main import main

    status = main()
    atexit._run_exitfuncs()
    os._exit(status)
