"""Whether anything that the guard's step looks at is another than it was."""

from flatnet.apply.filter.guard import claims
from flatnet.apply.filter.guard.guard import FAMILIES, TABLE, table_key
from flatnet.apply.filter.guard.nft_dump import elements
from flatnet.apply.filter.proven import Proven, generation


def guard_rests(proven: Proven) -> object:
    """Return what is the same as long as the tables are, and who is claimed.

    :raises HostSetupError: the kernel does not tell
    """
    return (
        generation(proven.asking),
        [proven.last(table_key(family)) for family in FAMILIES],
        elements(proven.asking, ("bridge", TABLE), claims.SET),
    )
