"""Who comes while something is measured: where to, and in which groups."""

import itertools
from collections.abc import Iterable, Sequence

from flatnet.lab.bench.rows import NewInstance, new_uuid
from flatnet.lab.node import Node

Groups = tuple[int, ...]


def in_turn(nodes: Iterable[Node], count: int) -> list[str]:
    """The names of hosts, each in turn, so many in all."""
    names = itertools.cycle(node.name for node in nodes)
    return list(itertools.islice(names, count))


def joined(hosts: Iterable[str], there: Sequence[NewInstance]) -> list[Groups]:
    """The groups of who comes to each of these hosts.

    They are those of guests that stay there, in turn, so that he is neither
    the first of a group nor the last; none where nobody is there.
    """
    of_host: dict[str, list[Groups]] = {}
    for each in there:
        of_host.setdefault(each.host, []).append(each.groups)
    turns = {host: itertools.cycle(of) for host, of in of_host.items()}
    return [next(turns[host]) if host in turns else () for host in hosts]


class Names:
    """Makes instances, each with a name of its own."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def instance(self, host: str, groups: Groups) -> NewInstance:
        """One that no row knows yet."""
        name = f"vm-{next(self._numbers)}"
        return NewInstance(new_uuid(), name, host, groups)
