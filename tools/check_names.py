"""Fail if one module name means two things.

Who looks for something goes by its noun (see "Rooms" in ARCHITECTURE.rst), so
a name may stand in several packages only where it means the same there, as
each layer sees it.  What it means is said here, once.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath

# What a name means in every package that has it.
NOUNS = {
    "allocation": "interfaces and addresses given to an instance",
    "bridge": "the bridge of a network on a host",
    "broker": "the message broker, and the way to it",
    "client": "who calls a network manager over RPC",
    "dns_names": "the names of instances in DNS",
    "findings": "what a pass found of ports, for the rows",
    "floating": "floating addresses",
    "foreign": "what programs of others do on a host",
    "guest": "an instance on its host",
    "host": "a compute node",
    "in_force": "whose rules the kernel has, asked where a step failed",
    "instances": "instances, as rows and in a plan",
    "lab": "compute nodes in namespaces on one machine",
    "leases": "DHCP leases of guests",
    "manager": "the network manager of a host",
    "needs": "addresses that a host cannot do without",
    "network": "a flat network",
    "plan": "what a host should look like",
    "port": "the device on a bridge that leads to one instance",
    "rows": "rows of the database",
}


def main() -> int:
    """Print one line per name that is wrong."""
    root = Path(__file__).resolve().parent.parent
    paths = (
        path.relative_to(root) for path in (root / "flatnet").rglob("*.py")
    )
    complaints = list(ambiguous(paths, NOUNS))
    print("\n".join(complaints) or "names: each means one thing")
    return 1 if complaints else 0


def ambiguous(
    paths: Iterable[PurePath], nouns: Mapping[str, str]
) -> Iterator[str]:
    """One line for each name that several of `paths` share and that is not of
    `nouns`, and for each of these that they do not share.
    """
    places = defaultdict(list)
    for path in sorted(paths):
        if path.stem != "__init__":
            places[path.stem].append(str(path))
    shared = {name: where for name, where in places.items() if len(where) > 1}
    for name in sorted(shared.keys() - nouns.keys()):
        yield (
            f"{shared[name][0]}:1: `{name}` is also "
            f"{', '.join(shared[name][1:])}: if it means the same, say what "
            "in tools/check_names.py"
        )
    for name in sorted(nouns.keys() - shared.keys()):
        yield f"tools/check_names.py:1: `{name}` is no name of two modules"


if __name__ == "__main__":
    sys.exit(main())
