"""The ports that are to go, whoever uses them, because rows say so."""

from collections.abc import Iterator, Mapping

from flatnet.plan.kept_rows import Kept
from flatnet.plan.port import port_name, with_ports
from flatnet.state.parts import GonePort
from flatnet.state.rows import GONE


def gone_names(gone: Mapping[str, GonePort]) -> Iterator[str]:
    """Yield the names of ports."""
    return (each.name for each in gone.values())


def gone_ports(rows: Kept) -> dict[str, GonePort]:
    """Return them by interface."""
    gone = {
        key: GonePort(port_name(key), each.moved)
        for key, each in rows.bindings.items()
        if each.wanted == GONE
    }
    if not gone:
        return gone
    here = map(port_name, with_ports(rows.interfaces, gone_names(gone)))
    kept = {*gone_names(gone)}.difference(here)
    return {key: each for key, each in gone.items() if each.name in kept}
