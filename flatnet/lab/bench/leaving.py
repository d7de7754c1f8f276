"""Room for who comes: some of who is there leave for so long.

A bridge of Linux takes so many ports and no more.
"""

import contextlib
import math
from collections.abc import Iterator

from flatnet.lab.bench.site import Site


@contextlib.contextmanager
def room_for(site: Site, count: int) -> Iterator[None]:
    """Have a place for so many, on hosts in turn; who left comes back."""
    nodes = site.lab.nodes
    each = math.ceil(max(0, count - site.room) / len(nodes))
    leave = [
        instance
        for node in nodes
        for instance in [
            one for one in site.instances if one.host == node.name
        ][site.size - each :]
    ]
    site.deallocate_at_once(leave)
    try:
        yield
    finally:
        site.allocate_at_once(leave)
