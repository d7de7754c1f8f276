"""The steps of walks: what happens to a host, and in which order.

A step is a kind, a name and a number from which its choices follow, so that
steps can be left out of a list that fails.
"""

import random

import cloud_rows
import meddling
import sql_rows

WRITES = {
    each.__name__: each for each in cloud_rows.CALLS + sql_rows.STATEMENTS
}
MEDDLING = {each.__name__: each for each in meddling.SEEN + meddling.UNSEEN}
NAMES = {"write": list(WRITES), "meddle": list(MEDDLING)}
KINDS = (
    *(*("write",) * 10, *("meddle",) * 4, *("connect",) * 3),
    *(*("plug",) * 2, "unplug", "kill", "kill_in_pass", "disconnect"),
    *("restart", "compare", "follow", "follow", "follow"),
    *("come_between",) * 3,
)
# What there is nothing to do it to where nobody serves DHCP.
OF_SERVERS = frozenset(
    each.__name__
    for each in (
        *(meddling.kill_server, meddling.stop_server),
        meddling.truncate_file,
    )
)


def some_steps(chance, number):
    """A list of steps."""
    kinds = chance.choices(KINDS, k=number)
    return [
        (kind, chance.choice(NAMES.get(kind, [""])), _any_number(chance))
        for kind in kinds
    ]


def walks(hosts, number):
    """A list of steps for each host, with all kinds of meddling among them.

    :param hosts: the options of the daemon of each
    :param number: of steps that chance alone chooses
    """
    found = []
    for seed, dealt in enumerate(_dealt(hosts)):
        chance = random.Random(seed)
        steps = some_steps(chance, number)
        for name in dealt:
            place = chance.randrange(len(steps) + 1)
            steps.insert(place, ("meddle", name, _any_number(chance)))
        found.append(steps)
    return found


def _dealt(hosts):
    """Each kind of meddling, at a host where it finds what it is done to."""
    found = [[] for _ in hosts]
    # Who can go to few hosts goes first, and so all get as many.
    for name in sorted(MEDDLING, key=lambda each: each not in OF_SERVERS):
        possible = [
            dealt
            for flags, dealt in zip(hosts, found, strict=True)
            if flags.get("dhcp", True) or name not in OF_SERVERS
        ]
        min(possible, key=len).append(name)
    return found


def _any_number(chance):
    return chance.randrange(1 << 30)
