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
from collections.abc import Iterable
from functools import lru_cache

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


def names(
    interfaces: Iterable[Interface], domain: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the usable name of each instance by uuid, and warnings.

    :param interfaces: of this host, those that a server here knows
    :param domain: dhcp_domain, a name too
    """
    instances = {each.instance_uuid: each for each in interfaces}
    found: dict[str, str] = {}
    holders: dict[str, str] = {}
    faults: dict[str, str] = {}
    for uuid, interface in sorted(instances.items(), key=_age):
        name = interface.hostname or ""
        fault = _fault(name, domain) or _taken(holders.get(name.lower()))
        if fault:
            faults[uuid] = f"{_shown(name)} {fault}"
        else:
            found[uuid] = name
            holders[name.lower()] = uuid
    return found, tuple(
        f"instance {uuid}: its hostname {text}; it gets its address without "
        "a name"
        for uuid, text in sorted(faults.items())
    )


def _age(item: tuple[str, Interface]) -> tuple[bool, int, str]:
    """What sorts instances by their making, those without an id last."""
    uuid, interface = item
    number = interface.instance_id
    return number is None, number or 0, uuid


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
