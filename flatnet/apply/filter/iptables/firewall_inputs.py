"""Whether anything that iptables' step looks at is another than it was."""

from flatnet.apply.filter.iptables.saved import (
    is_legacy,
    legacy_tables,
    tables_key,
)
from flatnet.apply.worker_cache import WorkerCache


def firewall_inputs(known: WorkerCache) -> object:
    """Return what tables and sets are known to be, as of a transaction.

    None where that cannot be told: iptables-legacy counts nothing, and sets
    may be in doubt.
    """
    if known.sets.left is None:
        return None
    if any(is_legacy(each) or legacy_tables(each) for each in (4, 6)):
        return None
    last = known.proven.last
    return last(tables_key(4)), last(tables_key(6)), known.sets.left
