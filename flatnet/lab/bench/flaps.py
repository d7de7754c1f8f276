"""A guest whose carrier comes and goes; it runs on a host.

It takes the name of a tap, and a file that it goes on as long as there is.
It opens the tap as a virtual machine does, which gives it a carrier, and
closes it again, five times a second.
"""

import sys
import time
from pathlib import Path

from flatnet.apply.link.taps import opened

_HALF_SECONDS = 0.1


def main() -> int:
    """Open and close; the status is 1 where another one has it open."""
    tap, flag = sys.argv[1:]
    while Path(flag).exists():
        with opened(tap) as handle:
            if handle is None:
                print(f"somebody else has {tap} open", file=sys.stderr)
                return 1
            time.sleep(_HALF_SECONDS)
        time.sleep(_HALF_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
