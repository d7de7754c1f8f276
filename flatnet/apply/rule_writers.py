"""Who wrote rules, and which of them we ran.

The kernel tells a writer's pid as the first pid namespace has it, so that in
a container nobody finds his own programs by it.  It also tells the netlink
port of the socket that wrote.  There is one of a number in a network
namespace, and a program gets its own pid, as its own pid namespace has it.
So writers are known by their ports, and not by names, which others have too.
Of a device's or an address's change it tells nothing but the port, if at all.

Given up: where another's socket has a program's pid as its port already, that
program is taken for a stranger, and what it wrote is looked at once more.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

SOMEBODY = "somebody"
# The bits of a port that are a pid: libnl counts a program's sockets above.
_PID = 0x3FFFFF


@dataclass(frozen=True)
class Writer:
    """Who wrote: `program (pid)` for people, and the port of its socket."""

    name: str
    port: int


# Of events that were lost; port 0 is the kernel's own.
UNKNOWN = Writer(SOMEBODY, 0)


def program(port: int) -> str:
    """Return who has a netlink port, as `program (pid)`.

    Nearly always it is the pid of a program, and maybe of one that has ended,
    or has another number here.
    """
    pid = port & _PID
    here, there = Path("/proc/self/ns/net"), Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        if (there / "ns/net").samefile(here):
            return f"{(there / 'comm').read_text().strip()} ({pid})"
    return f"{SOMEBODY} ({pid})"


class OwnPrograms:
    """Those that wrote rules, and whose events nobody has heard yet."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def note(self, pid: int) -> None:
        """Note that one of ours has ended."""
        self._pids.add(pid)

    def excuse(self, writer: Writer) -> bool:
        """Whether it is one of ours.

        Of events that were lost while ours worked nearly all were theirs.
        """
        if writer == UNKNOWN:
            return bool(self._pids)
        return writer.port in self._pids

    def forget(self) -> None:
        """Forget those whose events were heard."""
        self._pids = set()
