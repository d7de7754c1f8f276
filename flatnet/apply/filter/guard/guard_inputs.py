"""Whether anything that the guard's step looks at is another than it was."""

from flatnet.apply.filter.guard import claims
from flatnet.apply.filter.guard.guard import FAMILIES, TABLE
from flatnet.apply.filter.guard.nft_dump import elements
from flatnet.apply.filter.guard.set_edits import table_key
from flatnet.apply.filter.nft_proof import Proven


def guard_inputs(proven: Proven) -> object:
    """Return what tables are known to be, as of a transaction, and claims.

    :raises HostSetupError: the kernel does not tell
    """
    return (
        [proven.last(table_key(family)) for family in FAMILIES],
        elements(proven.asking, ("bridge", TABLE), claims.SET),
    )
