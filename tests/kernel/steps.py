"""The steps of walks: what happens to a host, and in which order.

A step is a kind, a name and a number from which its choices follow, so that
steps can be left out of a list that fails.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cloud_rows
import meddling
import sql_rows
import tampering

WRITES = {
    each.__name__: each for each in cloud_rows.CALLS + sql_rows.STATEMENTS
}
MEDDLING = {
    each.__name__: each
    for some in (
        *(meddling.SEEN, meddling.UNSEEN),
        *(tampering.SEEN, tampering.OF_GUARD),
    )
    for each in some
}
# What is there again without a pass that somebody asks for.
SEEN = [
    each.__name__
    for each in meddling.SEEN + tampering.SEEN + tampering.OF_GUARD
]
# What is put right by who did not see the host before.
AWAY = [
    each.__name__
    for each in (
        *(tampering.SEEN + tampering.OF_GUARD),
        *(meddling.flush_rules, meddling.flush_chain, meddling.delete_rule),
        *(meddling.let_all_in, meddling.leave_out_jump, meddling.flush_guard),
        *(meddling.take_member, meddling.add_member, meddling.delete_port),
        *(meddling.truncate_file, meddling.remove_file, meddling.unset),
        *(meddling.bridge_gone, meddling.address_off, meddling.more),
    )
]
NAMES = {
    "write": list(WRITES),
    "meddle": list(MEDDLING),
    "overflow": SEEN,
    "be_away": AWAY,
}
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
        *(meddling.truncate_file, meddling.remove_file, meddling.move_leases),
    )
)
# What is undone only by a process that saw how it was before.
OF_PROCESS = frozenset(
    each.__name__ for each in (meddling.uplink_renamed, meddling.port_unmarked)
)
# What may have no event, so that a whole pass sees it where reading is due.
RATIONED = frozenset(
    each.__name__ for each in (meddling.port_ipv6, meddling.port_unmarked)
)
# What the kernel lets nobody do where the guard's tables have an owner.
OF_GUARD = frozenset(each.__name__ for each in tampering.OF_GUARD)


@dataclass(frozen=True)
class Host:
    """A kind of host: options of its daemon; `is_old`: nobody owns tables."""

    flags: Mapping[str, Any] = field(default_factory=dict)
    is_old: bool = False

    def can_meet(self, name):
        """Whether there is something here that this meddling is done to."""
        if name in OF_GUARD:
            return self.is_old
        if name == meddling.flush_guard.__name__ and self.is_old:
            # Tables that are made anew have an owner.
            return False
        return name not in OF_SERVERS or self.flags.get("dhcp", True)

    def can_miss(self, name):
        """Whether it can be done here while there is no daemon, nor owner."""
        return name in OF_GUARD or self.can_meet(name)


def some_steps(chance, number):
    """A list of steps."""
    kinds = chance.choices(KINDS, k=number)
    return [
        (kind, chance.choice(NAMES.get(kind, [""])), _any_number(chance))
        for kind in kinds
    ]


def walks(hosts, number, seed):
    """A list of steps for each host, with all kinds of meddling among them.

    :param hosts: of which kind each is
    :param number: of steps that chance alone chooses
    :param seed: with another one they are other walks
    """
    found = []
    for place, dealt in enumerate(_dealt(hosts, seed)):
        chance = random.Random(place + seed * len(hosts))
        steps = some_steps(chance, number)
        for kind, name in dealt:
            at = chance.randrange(len(steps) + 1)
            steps.insert(at, (kind, name, _any_number(chance)))
        found.append([("begin", "", 7 + seed), *steps])
    return found


def _dealt(hosts, seed):
    """Each kind of meddling, at a host where it finds what it is done to.

    And at each host one that is heard of by nobody, and one while no daemon
    is there.
    """
    chance = random.Random(seed)
    found = [[] for _ in hosts]
    names = sorted(MEDDLING)
    chance.shuffle(names)
    # Who can go to few hosts goes first, and so all get as many.
    for name in sorted(names, key=lambda each: len(_places(hosts, each))):
        places = _places(hosts, name)
        dealt = min((found[place] for place in places), key=len)
        dealt.append(("meddle", name))
    for host, dealt in zip(hosts, found, strict=True):
        for kind, can in (
            ("overflow", host.can_meet),
            ("be_away", host.can_miss),
        ):
            possible = [each for each in NAMES[kind] if can(each)]
            dealt.append((kind, chance.choice(possible)))
    return found


def _places(hosts, name):
    return [place for place, each in enumerate(hosts) if each.can_meet(name)]


def _any_number(chance):
    return chance.randrange(1 << 30)
