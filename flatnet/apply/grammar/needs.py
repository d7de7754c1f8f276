"""What a plan says that its host needs, checked like the rest of it."""

import re

from flatnet.apply.grammar import values
from flatnet.state.taken_addresses import InUse

# Part of a line for people, and so free of what ends one.
_WHAT = re.compile(r"[A-Za-z0-9_ .()-]{1,80}")


def check_in_use(each: InUse) -> None:
    """Check an address that a host depends on.

    :raises ValueError: it is none, or nobody can say whose
    """
    values.ipv4(each.address)
    values.choice(each.is_own, (True, False))
    if not isinstance(each.what, str) or not _WHAT.fullmatch(each.what):
        raise ValueError(f"{ascii(each.what)[:60]} says not whose it is")
