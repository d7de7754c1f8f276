"""By which name each instance of a network is known to its neighbours.

It is the same on all hosts, which read the same rows.

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from flatnet.state.rows import NamedInstance
from flatnet.state.sliced_collections import SlicedMap

MAXIMUM_NAME = 63
# As many names as a large network has.
_REMEMBERED = 1 << 15
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
    """Who is called what in a network, by the uuid of the instance.

    `claims` are what each asks for, `faults` why it cannot be given to some,
    as phrases.  `namesakes` are claims by the name in small letters, the
    instance that was made first at the front.

    :param domain: dhcp_domain, a name too
    """

    domain: str
    claims: SlicedMap[str, _Claim] = field(default_factory=SlicedMap)
    faults: SlicedMap[str, str] = field(default_factory=SlicedMap)
    namesakes: SlicedMap[str, tuple[_Claim, ...]] = field(
        default_factory=SlicedMap
    )

    def of(self, uuid: str) -> str | None:
        """Return the name of an instance, if it can be given."""
        if uuid in self.faults or uuid not in self.claims:
            return None
        return self.claims[uuid].name

    def lines(self, uuid: str) -> tuple[str, ...]:
        """Return the warning that an instance has no name, if so."""
        if uuid not in self.faults:
            return ()
        return (
            f"instance {uuid}: its hostname {self.faults[uuid]}; it gets its "
            "address without a name",
        )


def renamed(
    before: Names, asking: Mapping[str, NamedInstance | None]
) -> Names:
    """Return the names once some instances ask anew, or ask no more.

    :param asking: what rows say of them, by uuid
    """
    if not asking:
        return before
    new = {uuid: _claim(row) for uuid, row in asking.items() if row}
    texts: dict[str, list[_Claim]] = {
        before.claims[uuid].text: []
        for uuid in asking
        if uuid in before.claims
    }
    for claim in new.values():
        texts.setdefault(claim.text, []).append(claim)
    namesakes, faults = {}, dict[str, str]()
    judged = set(asking)
    for text, found in texts.items():
        for each in before.namesakes.get(text, ()):
            if each.instance_uuid not in asking:
                found.append(each)
        if found:
            namesakes[text] = tuple(sorted(found))
            _judge(namesakes[text], before.domain, faults)
            judged.update(each.instance_uuid for each in found)
    return Names(
        before.domain,
        before.claims.changed(new, asking),
        before.faults.changed(faults, judged),
        before.namesakes.changed(namesakes, texts),
    )


def _claim(row: NamedInstance) -> _Claim:
    number = row.instance_id
    uuid, name = row.instance_uuid, row.hostname or ""
    return _Claim(number is None, number or 0, uuid, name)


def _judge(
    namesakes: Iterable[_Claim], domain: str, faults: dict[str, str]
) -> None:
    """Note who of namesakes cannot have the name, and why."""
    holder = None
    for claim in namesakes:
        uuid = claim.instance_uuid
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
    return f"is that of instance {holder} of its network, which was first"


def _shown(name: str) -> str:
    """A hostname as text that cannot break a line of a log."""
    text = repr(name)
    return text if len(text) <= MAXIMUM_NAME else f"{text[:MAXIMUM_NAME]}..."
