"""What rows let in, said again without the code that is tested.

A daemon need not have heard of the last change of a row, so what it may let
in is said of variants: of each instance, of each group's rules and of who is
in each group, all that rows have said since a pass covered it.
"""

import ipaddress
from dataclasses import dataclass, field

from flatnet.plan.port import port_name
from flatnet.state.eui64 import made_by

HOST = "node1"


@dataclass(frozen=True)
class Guest:
    """What this host has of an instance: (port, network, address), groups."""

    has: frozenset = frozenset()
    groups: frozenset = frozenset()

    @property
    def addresses(self):
        return {address for _, _, address in self.has}

    @property
    def ports(self):
        return {port for port, _, _ in self.has}

    def network_of(self, address):
        return next(n for _, n, found in self.has if found == address)


@dataclass(frozen=True)
class Facts:
    """What rows say: guests by instance, rules by group, and addresses of
    members by group and instance; `networks` are their ranges by id.
    """

    networks: dict
    guests: dict
    rules: dict
    members: dict


def facts(cloud):
    """Read all of it."""
    networks = {
        each["id"]: tuple(filter(None, (each["cidr"], each["cidr_v6"])))
        for each in cloud.all("networks")
    }
    living = {e["uuid"]: e for e in cloud.all("instances", deleted=0)}
    addresses = cloud.all("fixed_ips")
    groups, members = {}, {}
    for each in cloud.all("security_group_instance_association"):
        group, uuid = each["security_group_id"], each["instance_uuid"]
        groups.setdefault(uuid, set()).add(group)
        if uuid in living:
            members[group, uuid] = frozenset(
                row["address"]
                for row in addresses
                if row["instance_uuid"] == uuid
            )
    guests = {
        uuid: Guest(
            frozenset(_has(cloud, each, addresses, networks)),
            frozenset(groups.get(uuid, ())),
        )
        for uuid, each in living.items()
    }
    return Facts(networks, guests, _rules(cloud), members)


def _rules(cloud):
    """The rules of each group, as tuples of what is in their columns."""
    columns = ("protocol", "from_port", "to_port", "cidr", "group_id")
    rules = {each["id"]: set() for each in cloud.all("security_groups")}
    for each in cloud.all("security_group_rules"):
        rules[each["parent_group_id"]].add(tuple(each[c] for c in columns))
    return {key: frozenset(found) for key, found in rules.items()}


def _has(cloud, instance, addresses, networks):
    """The ports of an instance on this host, with all their addresses."""
    wanted = {
        each["interface_uuid"]: each["wanted"]
        for each in cloud.all("port_bindings", host=HOST)
    }
    for vif in cloud.all("virtual_interfaces", instance_uuid=instance["uuid"]):
        named = "serving" if instance["host"] == HOST else "gone"
        if wanted.get(vif["uuid"], named) == "gone":
            continue
        name, network = port_name(vif["uuid"]), vif["network_id"]
        yield name, network, None
        for row in addresses:
            if row["virtual_interface_id"] == vif["id"]:
                yield name, network, row["address"]
        for each in made_by(vif["address"], (*networks[network], None)[1]):
            yield name, network, each


@dataclass
class Beliefs:
    """All that a daemon may believe, by key; `same` are the values of
    allow_same_net_traffic.
    """

    same: set
    networks: dict = field(default_factory=dict)
    guests: dict = field(default_factory=dict)
    rules: dict = field(default_factory=dict)
    members: dict = field(default_factory=dict)

    def observe(self, now):
        """Rows say this now, and nobody may have heard of it."""
        self.networks = now.networks
        for mine, theirs, nothing in (
            (self.guests, now.guests, Guest()),
            (self.rules, now.rules, frozenset()),
            (self.members, now.members, frozenset()),
        ):
            for key in mine.keys() | theirs.keys():
                variants = mine.setdefault(key, {nothing})
                variants.add(theirs.get(key, nothing))

    def cover(self, scope, *times):
        """A pass read what is in a scope, at one of these times."""
        now = times[0]
        if scope.everything:
            self.guests, self.rules, self.members = {}, {}, {}
            self._certain(times)
            return
        here = {
            uuid
            for uuid, guest in now.guests.items()
            if guest.has and guest.groups & scope.members
        }
        instances = scope.instances | here
        for uuid in instances:
            self.guests[uuid] = {t.guests.get(uuid, Guest()) for t in times}
        groups = set(scope.groups)
        for uuid in instances:
            for guest in self.guests[uuid]:
                # Of who has nothing here the groups are not read.
                groups |= guest.groups if guest.has else set()
        for group in groups:
            self.rules[group] = {
                t.rules.get(group, frozenset()) for t in times
            }
        for group, uuid in list(self.members):
            if uuid in instances or group in scope.members:
                self.members[group, uuid] = {
                    t.members.get((group, uuid), frozenset()) for t in times
                }
        for uuid in instances:
            self._disown(uuid)

    def _certain(self, times):
        for mine, kind, nothing in (
            (self.guests, "guests", Guest()),
            (self.rules, "rules", frozenset()),
            (self.members, "members", frozenset()),
        ):
            keys = {key for t in times for key in getattr(t, kind)}
            for key in keys:
                mine[key] = {getattr(t, kind).get(key, nothing) for t in times}

    def _disown(self, uuid):
        """What an instance has is nobody else's, whatever rows said.

        Of one elsewhere that is known where it is in a group that rules of
        this host name.
        """
        mine = {a for g in self.guests[uuid] for a in g.addresses if a}
        for group in self._sources():
            for found in self.members.get((group, uuid), ()):
                mine |= found
        for other, variants in self.guests.items():
            if other != uuid:
                kept = {g for g in variants if not g.addresses & mine}
                self.guests[other] = kept or {Guest()}
        for (group, other), variants in self.members.items():
            if other != uuid:
                kept = {found for found in variants if not found & mine}
                self.members[group, other] = kept or {frozenset()}

    def _sources(self):
        """The groups that rules here name, as far as that is certain."""
        used = [
            frozenset.intersection(*(g.groups for g in variants))
            for variants in self.guests.values()
            if all(guest.has for guest in variants)
        ]
        return {
            rule[4]
            for group in frozenset().union(*used)
            for rule in frozenset.intersection(
                *self.rules.get(group, [frozenset()])
            )
            if rule[4] is not None
        }

    def all_guests(self):
        """All that may be believed of any instance."""
        return {g for variants in self.guests.values() for g in variants}

    def senders(self):
        """All pairs of a port and an address that it may send from."""
        return {
            (port, address)
            for guest in self.all_guests()
            for port, _, address in guest.has
        }

    def addresses(self):
        """All addresses that somebody may have."""
        held = {a for g in self.all_guests() for a in g.addresses if a}
        return held.union(
            *(found for v in self.members.values() for found in v)
        )

    def bridges_of(self, address):
        """The bridges that lead to an address, of a guest or in a range."""
        found = {
            guest.network_of(address)
            for guest in self.all_guests()
            if address in guest.addresses
        }
        for key, ranges in self.networks.items():
            if ":" not in address and _within(address)(ranges[0]):
                found.add(key)
        return sorted(f"br10{key - 1}" for key in found)

    def lets_in(self, packet):
        """Whether some of what may be believed lets a packet through."""
        holders = [
            guest
            for guest in self.all_guests()
            if packet.target in guest.addresses
        ]
        if self._may_be_nobodys(packet.target):
            return True
        return any(self._lets_in(guest, packet) for guest in holders)

    def _may_be_nobodys(self, target):
        """Whether it may be an address of no instance of this host."""
        return all(
            any(target not in guest.addresses for guest in variants)
            for variants in self.guests.values()
        )

    def _lets_in(self, guest, packet):
        if True in self.same:
            if not guest.groups:
                return True
            near = (
                # Whoever is heard by it is on the bridge.
                "fe80::/10",
                *self.networks[guest.network_of(packet.target)],
            )
            if any(map(_within(packet.source), near)):
                return True
        return any(
            self._matches(rule, packet)
            for group in guest.groups
            for rules in self.rules.get(group, ())
            for rule in rules
        )

    def _matches(self, rule, packet):
        protocol, first, last, cidr, group = rule
        if (cidr is None) == (group is None):
            return False
        if protocol not in (None, packet.protocol):
            return False
        if not {first, last} <= {None, -1}:
            if protocol not in ("tcp", "udp"):
                return False
            if not first <= packet.port <= last:
                return False
        if cidr is not None:
            return _within(packet.source)(cidr)
        return any(
            packet.source in variant
            for (named, _), variants in self.members.items()
            if named == group
            for variant in variants
        )


def _within(source):
    address = ipaddress.ip_address(source)

    def holds(cidr):
        network = ipaddress.ip_network(cidr, strict=False)
        return address.version == network.version and address in network

    return holds
