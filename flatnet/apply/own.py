"""Who wrote rules, and which of them we ran.

The kernel tells a writer's pid as the first pid namespace has it, so that in
a container nobody finds his own programs by it.  It also tells the netlink
port of the socket that wrote.  There is one of a number in a network
namespace, and a program gets its own pid, as its own pid namespace has it.
So writers are known by their ports, and not by names, which others have too.

Given up: where another's socket has a program's pid as its port already, that
program is taken for a stranger, and what it wrote is looked at once more.
"""

from dataclasses import dataclass

SOMEBODY = "somebody"


@dataclass(frozen=True)
class Writer:
    """Who wrote: `program (pid)` for people, and the port of its socket."""

    name: str
    port: int


# Of events that were lost; port 0 is the kernel's own.
UNKNOWN = Writer(SOMEBODY, 0)


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
