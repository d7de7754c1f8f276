"""What a host costs on which others are busy with what is theirs."""

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, text

from flatnet.db import engine
from flatnet.lab import namespaces
from flatnet.lab.bench import flaps, roles
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError
from flatnet.lab.server_process import as_user

_END_SECONDS = 60.0
# What adds a rule is the first argument: at the end of a chain, or above ours.
_TEN_A_SECOND = """\
while [ -e "$2" ]; do
    iptables "$1" INPUT -p tcp --dport 9 -j ACCEPT
    iptables -D INPUT -p tcp --dport 9 -j ACCEPT
    sleep 0.17
done
"""
_APPEND, _INSERT = "-A", "-I"
# Of MariaDB, which counts what clients send.
_COUNT = text("SHOW GLOBAL STATUS LIKE 'Questions'")
Words = list[str]


def cost(
    site: Site,
    *,
    programs: Callable[[Site], tuple[Words, ...]],
    settling: float = 0.0,
) -> Measured:
    """Percent of a core while others are busy.

    The floor is what their commands take.

    :param settling: seconds for which they have been before
    """
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with _busy(site, programs(site)):
        time.sleep(settling)
        since = time.monotonic()
        with site.spent() as spent:
            time.sleep(site.effort.seconds)
        took = time.monotonic() - since
    busy = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
    ours = sum(spent.total.get(role, 0.0) for role in roles.OURS) / 1000
    return Measured(100 * ours / took, 100 * used / busy)


def statements(site: Site) -> Measured:
    """Statements of one allocation while others are busy.

    What others do is to cause no pass of its own, which would read rows.  The
    floor is an allocation while nobody is.
    """
    quiet = _statements(site)
    with _busy(site, _both(site)):
        amid = _statements(site)
    return Measured(amid, quiet)


def _rules(how: str) -> Words:
    """Add and delete a rule, ten commands a second."""
    return ["sh", "-ec", _TEN_A_SECOND, "sh", how]


def _both(site: Site) -> tuple[Words, ...]:
    """The same at the end, and five flaps a second of a guest's carrier."""
    port = min(site.ports(site.node))
    return _rules(_APPEND), [sys.executable, "-m", flaps.__name__, port]


FIGURES = (
    Figure(
        "foreign rules",
        "% of a core",
        lambda site: cost(site, programs=lambda _: (_rules(_APPEND),)),
        (Goal(1),),
    ),
    Figure(
        "foreign rules above ours",
        "% of a core",
        lambda site: cost(site, programs=lambda _: (_rules(_INSERT),)),
        (Goal(1),),
    ),
    Figure(
        "foreign rules and flaps",
        "% of a core",
        lambda site: cost(site, programs=_both, settling=site.effort.settling),
        (Goal(1),),
    ),
    Figure(
        "allocate amid rules and flaps",
        "statements",
        statements,
        (Goal(1, FLOOR, more=1),),
    ),
)


@contextlib.contextmanager
def _busy(site: Site, programs: tuple[Words, ...]) -> Iterator[None]:
    """Let programs run on the host, which end when a file is gone."""
    flag = site.lab.spec.directory / "busy"
    flag.touch()
    running = [
        subprocess.Popen(
            namespaces.inside(
                site.node.namespace, [*as_user(None), *words, str(flag)]
            ),
            start_new_session=True,
        )
        for words in programs
    ]
    try:
        yield
    finally:
        flag.unlink()
        ends = [each.wait(_END_SECONDS) for each in running]
    if any(ends):
        raise LabError(f"those who keep the host busy ended with {ends}")


def _statements(site: Site) -> float:
    with site.newcomers(min(site.effort.calls, site.room)) as wanted:
        before = _count(site.database)
        calls = site.one_by_one("allocate_for_instance", wanted)
        after = _count(site.database)
    return (after - before) / len(calls.seconds)


@engine.reads
def _count(connection: Connection) -> int:
    return int(connection.execute(_COUNT).one()[1])
