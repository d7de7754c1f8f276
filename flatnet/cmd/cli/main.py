"""flatnet: every outcome is an exit status and at most one line on stderr.

Libraries of databases and brokers are imported by the commands that need
them, when they run: help and mistakes in typing are answered at once.
"""

import logging
import os
import sys
import warnings

from flatnet.cmd.cli.app import FlatnetApp
from flatnet.cmd.cli.base import UsageError, say
from flatnet.exceptions import FlatnetError

SUCCESS, FAILURE, USAGE = 0, 1, 2
INTERRUPTED, NOBODY_READS = 130, 141
LOG = logging.getLogger("flatnet")


def main() -> int:
    """Run the command that sys.argv names; return the exit status."""
    # What a library thinks of its own future is no business of operators.
    warnings.simplefilter("ignore")
    try:
        try:
            status = FlatnetApp().run(sys.argv[1:])
        finally:
            # What was shown comes before what is said of it.
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        LOG.debug("the cause", exc_info=True)
        text, status = _told(error)
        say(text)
    return status


def _told(error: Exception) -> tuple[str, int]:
    """What to tell of an error, and the exit status."""
    # A daemon's errors have its traceback in their str(), not in args.
    text = str(error.args[0] if error.args else error)
    if isinstance(error, UsageError):
        return text, USAGE
    if isinstance(error, FlatnetError):
        return text, FAILURE
    if isinstance(error, OSError):
        return str(error), FAILURE
    name = type(error).__name__
    return f"unexpected {name}: {text}; --debug shows where", FAILURE


if __name__ == "__main__":
    sys.exit(main())
