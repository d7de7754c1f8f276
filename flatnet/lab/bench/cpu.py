"""What the processes of a lab have used up: processor time and memory."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# After the program's name in parentheses: proc(5), fields 4 and 14 to 17
# counted from 1, the state being field 3.
_PARENT, _OWN, _CHILDREN = 1, slice(11, 13), slice(13, 15)
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class Process:
    """Milliseconds that it and its ended children have used; its parent."""

    ms: float
    parent: int


Used = Mapping[str, Mapping[int, Process]]


@dataclass
class Spent:
    """Milliseconds of processor time by role, once their end was noted."""

    total: dict[str, float] = field(default_factory=dict)

    def each(self, calls: int) -> dict[str, float]:
        """The same, per call."""
        return {role: ms / calls for role, ms in self.total.items()}


def mean(several: Sequence[Spent], calls: int = 1) -> dict[str, float]:
    """Milliseconds by role and call, on average of several times."""
    found: dict[str, float] = defaultdict(float)
    for each in several:
        for role, ms in each.total.items():
            found[role] += ms / len(several) / calls
    return dict(sorted(found.items()))


def used_ms(processes: Mapping[str, Iterable[int]]) -> Used:
    """What processes have used from the beginning, by role and pid.

    The kernel counts it in hundredths of a second, and in nanoseconds that of
    threads that live.
    """
    found: dict[str, dict[int, Process]] = defaultdict(dict)
    for role, pids in processes.items():
        for pid in pids:
            with suppress(*_GONE):
                found[role][pid] = _process(pid)
    return found


def spent_ms(before: Used, after: Used) -> dict[str, float]:
    """Milliseconds of each role between two looks.

    What a process has used that ended is with who waited for it: what it had
    used before is no part of that.
    """
    found = {}
    for role, now in sorted(after.items()):
        known = before.get(role, {})
        ended = sum(
            each.ms
            for pid, each in known.items()
            if pid not in now and each.parent in now
        )
        begun = sum(each.ms for pid, each in known.items() if pid in now)
        found[role] = sum(each.ms for each in now.values()) - begun - ended
    return found


def program(pid: int) -> str:
    """The name of a process as the kernel has it; empty if it ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except _GONE:
        return ""


def parent(pid: int) -> int:
    """The pid of who started a process; 0 if that has ended."""
    with suppress(*_GONE):
        return int(_stat(pid)[_PARENT])
    return 0


def memory_mb(pids: Iterable[int]) -> float:
    """MB of processes, what they share being counted once (PSS)."""
    return sum(map(_pss, pids)) / 1024


def _process(pid: int) -> Process:
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    words = _stat(pid)
    own, children = (
        sum(map(int, words[each])) * tick for each in (_OWN, _CHILDREN)
    )
    ms = max(own, running([pid]) * 1000) + children
    return Process(ms, int(words[_PARENT]))


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()


def _pss(pid: int) -> int:
    with suppress(*_GONE):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        for line in text.splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def running(pids: Iterable[int]) -> float:
    """Seconds that living processes have run, to the nanosecond.

    Threads and children that ended are not in it.
    """
    return sum(
        _ran(path)
        for pid in pids
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


def _ran(path: Path) -> float:
    with suppress(*_GONE):
        return int(path.read_text().split()[0]) / 1e9
    return 0.0
