"""Whether anything that iptables' step looks at is another than it was."""

from flatnet.apply.filter.iptables.saved import (
    is_legacy,
    legacy_tables,
    tables_key,
)
from flatnet.apply.filter.proven import generation
from flatnet.apply.known import Known


def firewall_rests(known: Known) -> object:
    """Return what is the same as long as tables and sets are as they were.

    None where that cannot be told: iptables-legacy counts nothing, and sets
    may be in doubt.

    :raises HostSetupError: the kernel does not tell
    """
    if known.sets.left is None:
        return None
    if any(is_legacy(each) or legacy_tables(each) for each in (4, 6)):
        return None
    proven = known.proven
    return (
        generation(proven.asking),
        proven.last(tables_key(4)),
        proven.last(tables_key(6)),
        known.sets.left,
    )
