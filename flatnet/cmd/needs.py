"""What this host cannot do without, as addresses that no network may take.

The broker, the database and the default router are where the daemon and its
operator come from.  A bridge that takes such an address makes the host talk to
itself, and a guest that has it is one that no rule keeps the host from.

Names are looked up at the start, and for so long and no longer.  One that is
not known then, as when a host boots before its name server, is looked up again
once who has it was reached.  Who moves the broker to another address starts
the daemon again.
"""

import ipaddress
import logging
import socket
import threading
from collections.abc import Iterable, Iterator

from oslo_config import cfg
from oslo_messaging import InvalidTransportURL, TransportURL

from flatnet.apply.link.routes import routers
from flatnet.config.settings import Settings
from flatnet.exceptions import FlatnetError
from flatnet.state.taken_addresses import InUse

LOG = logging.getLogger(__name__)
# Seconds for all names together.
PATIENCE = 5.0
BROKER, DATABASE = "the broker", "the database"
ROUTER, MY_IP = "the default router", "my_ip"


class Needs:
    """The addresses that a host depends on, as far as they are known."""

    def __init__(
        self, own: Iterable[InUse], named: Iterable[tuple[str, str]]
    ) -> None:
        """`named` are (what, name), whose addresses `look` finds."""
        self._own = tuple(own)
        self._unknown = tuple(dict.fromkeys(named))
        self._found: tuple[InUse, ...] = ()
        self._has_told = False

    def look(self) -> bool:
        """Look up the names that are not known yet; whether any is now."""
        if not self._unknown:
            return False
        answers = _looked_up(self._unknown)
        new = tuple(
            InUse(address, what)
            for (what, _), addresses in answers.items()
            for address in addresses
        )
        self._found += new
        self._unknown = tuple(
            each
            for each in self._unknown
            if not answers.get(each) and not _is_here(each[1])
        )
        if not self._has_told:
            _tell_unknown(self._unknown)
        self._has_told = True
        return bool(new)

    @property
    def now(self) -> tuple[InUse, ...]:
        """All of them, with the default routers that there are now, sorted."""
        found, failure = [], ""
        try:
            found = [InUse(each, ROUTER) for each in routers()]
        except (FlatnetError, OSError) as error:
            failure = str(error)
        if failure:
            LOG.warning("the default routers are not known: %s", failure)
        known = (*found, *self._own, *self._found[::-1])
        by_address = {each.address: each for each in known}
        return tuple(
            sorted(
                by_address.values(),
                key=lambda each: ipaddress.IPv4Address(each.address),
            )
        )


def needs(
    conf: cfg.ConfigOpts, settings: Settings, database_servers: Iterable[str]
) -> Needs:
    """Return what a host with these options needs.

    :param conf: has the transport's options registered
    :param database_servers: names or addresses
    """
    named = [(BROKER, each) for each in _brokers(conf)]
    named += [(DATABASE, each) for each in database_servers]
    own = [
        InUse(address, MY_IP, is_own=True)
        for address in _usable([settings.my_ip])
    ]
    made = Needs(own, named)
    made.look()
    return made


def _tell_unknown(named: Iterable[tuple[str, str]]) -> None:
    for what, name in named:
        LOG.warning(
            "%s is called %s, which has no known address: a network that "
            "holds it is not recognised",
            what,
            name,
        )


def _brokers(conf: cfg.ConfigOpts) -> Iterator[str]:
    """The names in transport_url; whoever uses it says if it is none."""
    try:
        hosts = TransportURL.parse(conf).hosts
    except (InvalidTransportURL, ValueError):
        return
    for host in hosts:
        if host.hostname:
            yield host.hostname


def _looked_up(
    named: Iterable[tuple[str, str]],
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the IPv4 addresses of each name, as far as they are found."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    wanted = tuple(named)

    def look() -> None:
        for what, name in wanted:
            try:
                answers = socket.getaddrinfo(name, None, socket.AF_INET)
            except (OSError, UnicodeError):
                answers = []
            found[what, name] = _usable(str(each[4][0]) for each in answers)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return dict(found)


def _usable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those that a network could hold, once each."""
    kept = []
    for each in addresses:
        try:
            address = ipaddress.IPv4Address(each)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_unspecified):
            kept.append(each)
    return tuple(sorted(set(kept)))


def _is_here(name: str) -> bool:
    """Whether a name is this machine's to itself, or one of IPv6."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return address.version == 6 or address.is_loopback
