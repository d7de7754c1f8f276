"""By which name each instance of this host is known to its neighbours.

All tenants ask the same servers, so a name is a thing that a tenant can take
from another.  Left out, with a warning, is what could

* cost a guest its address, or end up as something else in a file of dnsmasq;
* make a guest be taken for a service: names that systems and programs look
  up by convention, without anybody having told them to;
* take a name from who had it first: of namesakes the instance that was made
  first keeps it, which whoever comes later cannot change.

The guest stays, and has its address.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from flatnet.state.rows import Interface

MAXIMUM_NAME = 63
# Far more names than a host has.
_REMEMBERED = 1 << 13
# dnsmasq drops the whole line of a name that begins with an underscore.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9_])?")
# In a line of a hosts file dnsmasq reads these as a lease time or an order to
# keep silent, and not as a name.
_OTHER_MEANING = re.compile(r"\d+[smhdw]?|infinite|ignore", re.IGNORECASE)
# It takes what has a capital letter for an international name, and drops the
# line if these, which mark an encoded one, do not decode.
_ENCODED = re.compile(r"(?=.*[A-Z])..--.*")
_BY_CONVENTION = frozenset(
    {
        # What every machine calls itself.
        *("localhost", "localhost4", "localhost6", "localdomain", "local"),
        *("ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters"),
        *("ip6-localnet", "ip6-mcastprefix", "broadcasthost", "loopback"),
        # The cloud's own, and what resolvers make up themselves.
        *("metadata", "instance-data", "gateway"),
        # Proxies, tunnels and mail, found without a setting.
        *("wpad", "isatap", "teredo", "autodiscover", "autoconfig", "mta-sts"),
        *("lyncdiscover", "lyncdiscoverinternal", "enterpriseenrollment"),
        *("enterpriseregistration", "msoid"),
        # Masters and servers whose name is an agent's default.
        *("puppet", "salt", "loghost", "timehost", "unifi"),
    }
)


class _Claim(NamedTuple):
    """An instance that asks for a name; they sort by their making.

    Those whose row has no id come last.
    """

    is_last: bool
    number: int
    instance_uuid: str
    name: str

    @property
    def text(self) -> str:
        """What is one name to a resolver."""
        return self.name.lower()


@dataclass(frozen=True)
class Names:
    """Who is called what, by the uuid of the instance.

    `claims` are what each asks for, `faults` why it cannot be given to some,
    as phrases.  `namesakes` are claims by the name in small letters, the
    instance that was made first at the front.

    :param domain: dhcp_domain, a name too
    """

    domain: str
    claims: Mapping[str, _Claim] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    namesakes: Mapping[str, tuple[_Claim, ...]] = field(default_factory=dict)

    def of(self, uuid: str) -> str | None:
        """Return the name of an instance, if it can be given."""
        if uuid in self.faults or uuid not in self.claims:
            return None
        return self.claims[uuid].name

    @property
    def lines(self) -> tuple[str, ...]:
        """Warnings about who has no name."""
        return tuple(
            f"instance {uuid}: its hostname {text}; it gets its address "
            "without a name"
            for uuid, text in sorted(self.faults.items())
        )


def renamed(
    before: Names, instances: Set[str], interfaces: Iterable[Interface]
) -> Names:
    """Return the names once some instances ask anew, or ask no more.

    :param instances: their uuids
    :param interfaces: of theirs, those that a server here knows
    """
    if not instances:
        return before
    asking = {each.instance_uuid: _claim(each) for each in interfaces}
    claims, faults = dict(before.claims), dict(before.faults)
    texts: defaultdict[str, list[_Claim]] = defaultdict(list)
    for uuid in instances:
        faults.pop(uuid, None)
        if old := claims.pop(uuid, None):
            texts[old.text] += ()
        if new := asking.get(uuid):
            claims[uuid] = new
            texts[new.text].append(new)
    namesakes = dict(before.namesakes)
    for text, found in texts.items():
        for each in namesakes.pop(text, ()):
            if each.instance_uuid not in instances:
                found.append(each)
        if found:
            namesakes[text] = tuple(sorted(found))
            _judge(namesakes[text], before.domain, faults)
    return Names(before.domain, claims, faults, namesakes)


def _claim(interface: Interface) -> _Claim:
    number = interface.instance_id
    uuid, name = interface.instance_uuid, interface.hostname or ""
    return _Claim(number is None, number or 0, uuid, name)


def _judge(
    namesakes: Iterable[_Claim], domain: str, faults: dict[str, str]
) -> None:
    """Note who of namesakes cannot have the name, and why."""
    holder = None
    for claim in namesakes:
        uuid = claim.instance_uuid
        faults.pop(uuid, None)
        fault = _fault(claim.name, domain) or _taken(holder)
        if fault:
            faults[uuid] = f"{_shown(claim.name)} {fault}"
        else:
            holder = uuid


@lru_cache(_REMEMBERED)
def _fault(name: str, domain: str) -> str | None:
    """Why a hostname cannot be given to dnsmasq, or none."""
    if not name:
        return "is empty"
    if len(name) > MAXIMUM_NAME:
        return f"is longer than {MAXIMUM_NAME} characters"
    if not _NAME.fullmatch(name):
        return "is not made of letters, digits, hyphen and underscore"
    if _OTHER_MEANING.fullmatch(name) or _ENCODED.fullmatch(name):
        return "means something else to dnsmasq"
    if name.lower() in _BY_CONVENTION or name.lower() == domain.lower():
        return "is one that others look up by convention"
    return None


def _taken(holder: str | None) -> str | None:
    """Why a name that another has cannot be given, or none."""
    if holder is None:
        return None
    return f"is that of instance {holder} of this host, which was first"


def _shown(name: str) -> str:
    """A hostname as text that cannot break a line of a log."""
    text = repr(name)
    return text if len(text) <= MAXIMUM_NAME else f"{text[:MAXIMUM_NAME]}..."
