"""What the daemon does when it is asked: check, write rows, ask for a pass.

FlatManager attaches instances to the bridge.  FlatDHCPManager adds the
bridge's address, DHCP and the gateway.  They are the same machine: the
second only takes an address for its host, and its plan has more in it.
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from flatnet import answers, hints, reports
from flatnet.config.settings import Settings
from flatnet.db import interfaces, snapshot
from flatnet.db.engine import Database
from flatnet.db.orders import Concerned, Farewell, Order, Placing, Served
from flatnet.exceptions import (
    DatabaseUnavailable,
    FlatnetError,
    HostSetupError,
)
from flatnet.floating_admin import FloatingAdmin
from flatnet.following import Followers, deallocated
from flatnet.leases import Leases
from flatnet.ledger import Ledger
from flatnet.moves import Moves
from flatnet.network_admin import NetworkAdmin
from flatnet.network_servers import NetworkServers
from flatnet.passes.reconciler import Reconciler
from flatnet.rpc.arguments import Requested
from flatnet.rpc.client import NetworkAPI
from flatnet.state.rows import Instance
from flatnet.state.scope import EVERYTHING, Scope, of_hint, of_instance
from flatnet.state.shared_networks import has_one_server
from flatnet.state.taken_addresses import InUse

Json = dict[str, Any]
_ONCE_MORE = 2.0
_ADDED = (
    "the address may be given all the same, and another would be if you asked "
    "again: get_instance_nw_info shows it"
)


class FlatManager:
    """Attach instances to the bridge, and no more.

    :param peers: the client that reaches the daemons of other hosts
    :param timeout: seconds that a caller waits for this host to be ready
    :param in_use: what this host depends on now
    """

    takes_host_address = False

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        reconciler: Reconciler,
        peers: NetworkAPI,
        timeout: float,
        in_use: Callable[[], tuple[InUse, ...]] = tuple,
    ) -> None:
        self._settings, self._database = settings, database
        self.leases = Leases(database)
        self._reconciler = reconciler
        self._peers, self._timeout = peers, timeout
        self._in_use = in_use
        self.networks = NetworkAdmin(settings, database, reconciler, in_use)
        self.floating = FloatingAdmin(
            settings, database, reconciler, peer=self.peer, timeout=timeout
        )
        self._followers = Followers(self.peer, settings.host, deallocated)
        self.servers = NetworkServers(self.peer, settings, reconciler, timeout)
        self._ledger = Ledger(
            database,
            placement=self._placement,
            tell=functools.partial(hints.tell, peers, host=settings.host),
            heed=self._heed,
        )
        self.moves = Moves(
            host=settings.host,
            database=database,
            reconciler=reconciler,
            ledger=self._ledger,
            timeout=timeout,
            placement=self._placement,
        )

    def is_here(self, host: str | None) -> bool:
        """Whether a call that names `host` is this daemon's own work."""
        return host is None or host == self._settings.host

    def peer(self, host: str) -> NetworkAPI:
        """Return the client to pass a call on to `host`.

        :raises HostNotFound: no daemon ever reported from it
        :raises BrokerUnavailable: none is running there now
        """
        reports.check_heard(
            self._database, host, self._settings.reconcile_interval
        )
        return self._peers

    def allocate(
        self,
        instance_uuid: str,
        *,
        requested: Requested | None,
        macs: tuple[str, ...],
        rxtx_factor: float | None = None,
        port_rate: int | None = None,
    ) -> list[Json]:
        """Write the rows of an instance and bring this host to them."""
        order = Order(instance_uuid, requested, macs, rxtx_factor, port_rate)
        with self._asking():
            written = self._ledger.allocate(order)
        return self._made(instance_uuid, written, renewed=True)

    def add_address(self, instance_uuid: str, network: str) -> list[Json]:
        """Give an instance one more address, and let its port use it.

        :param network: its uuid, or its integer id as text
        :raises HostSetupError: it has one more, which its port cannot use yet
        :raises DatabaseUnavailable: also where nobody knows whether it has
        """
        try:
            with self._asking():
                written = self._ledger.add(instance_uuid, network)
            return self._made(instance_uuid, written)
        except (DatabaseUnavailable, HostSetupError) as error:
            if not getattr(error, "may_be_written", True):
                raise
            # Of other calls it is said that asking again is safe.
            reason = str(error).partition(";")[0]
            raise type(error)(f"{reason}; {_ADDED}") from error

    def _made(
        self, instance_uuid: str, written: Served, *, renewed: bool = False
    ) -> list[Json]:
        """Bring the hosts to what was written; return NetworkInfo."""
        networks = [n for _, n, _ in written.networks if has_one_server(n)]
        outcome = self.servers.bring(instance_uuid, networks, renewed=renewed)
        if not all(each.dhcp_server for each in networks):
            return self.network_info(instance_uuid, written.host)
        options, last = self._settings, self._reconciler.last
        return answers.served_info(written, options, outcome, last=last)

    def remove_address(self, instance_uuid: str, address: str) -> list[Json]:
        """Take one address from an instance, and let its port use it no more.

        :raises FixedIpNotFoundForSpecificInstance: it does not hold it
        """
        with self._asking():
            self._ledger.remove(instance_uuid, address)
        return self.followed(instance_uuid)

    def followed(self, instance_uuid: str) -> list[Json]:
        """Bring the hosts of an instance to its rows; return NetworkInfo."""
        # Who moves has a port elsewhere too.
        self.renew(instance_uuid, self.moves.hosts_of(instance_uuid))
        attached = interfaces.of_instance(self._database, instance_uuid)
        self.servers.behind(instance_uuid, (each for _, each in attached))
        self._reconciler.serve(instance_uuid, self._timeout)
        return self.network_info(instance_uuid, self._settings.host)

    def deallocate(self, reference: str, *, hint: str | None) -> Json | None:
        """Take away the rows of an instance, then what stood for them.

        The rows go at once, whoever is asked; its hosts follow when they
        can.

        :param hint: the host that it ran on, where no row says it
        :returns: none, or which hosts have not followed yet, and why
        :raises HostSetupError: this host could not
        """
        with self._asking():
            bereft = self._ledger.deallocate(Farewell(reference, hint))
        ticket, gone = None, bereft.instance_uuid
        if self._settings.host in bereft.hosts:
            ticket = self._reconciler.ask(of_instance(gone))
        behind = self._followers.behind(gone, bereft.hosts)
        if ticket is not None:
            self._reconciler.wait(ticket, self._timeout).check_gone(gone)
        return {"followed": False, "hosts": behind} if behind else None

    def _heed(self, members: Concerned) -> None:
        """Look at who left groups, wherever they ran; nobody waits for it."""
        if members.groups:
            self._reconciler.ask(of_hint(members.groups, members.instances))

    def follow(self, instances: frozenset[str]) -> dict[str, str]:
        """Rid this host of instances whose rows are gone.

        :returns: why it is not, by the uuids of those of which it is not
        """
        scope = Scope(instances=instances)
        outcome = self._reconciler.ask_and_wait(self._timeout, scope)
        return outcome.left_of(instances)

    def living(self, reference: str) -> Instance:
        """The row of an instance by uuid or integer id.

        :raises InstanceNotFound: no living instance is meant
        """
        return self._ledger.living(reference)

    def uuid_of(self, reference: str) -> str:
        """The uuid of an instance by uuid or integer id."""
        return self.living(reference).uuid

    def network_info(self, instance_uuid: str, host: str | None) -> list[Json]:
        """NetworkInfo of an instance, as guests of `host` see it."""
        return answers.network_info(
            self._database,
            self._settings,
            instance_uuid=instance_uuid,
            host=host or self._settings.host,
            last=self._reconciler.last,
        )

    def groups_changed(
        self, groups: Collection[int], instances: Collection[str] | None
    ) -> None:
        """Ask for a pass, if these groups matter here, and do not wait.

        By the last pass, and by the rows now if `instances` is none.
        """
        scope, last = of_hint(groups, instances), self._reconciler.last
        matters = last.error is not None or last.knows(groups, scope.instances)
        if instances is None and not matters:
            here = snapshot.groups(self._database, self._settings.host)
            matters = not here.isdisjoint(groups)
        if matters:
            self._reconciler.ask(scope)
        else:
            self._reconciler.ask_if_known(groups, scope)
        if matters or instances is None:
            # On a cluster of databases a hint may come before its commit.
            self._reconciler.ask_again(scope, _ONCE_MORE)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask for a pass where nobody knows whether it was written."""
        try:
            yield
        except DatabaseUnavailable as error:
            if error.may_be_written:
                self._reconciler.ask(EVERYTHING)
            raise

    def _placement(self) -> Placing:
        options = self._settings
        return Placing(
            host=options.host,
            takes_address=self.takes_host_address,
            quarantine=options.address_quarantine,
            mac_attempts=options.create_unique_mac_address_attempts,
            plug=options.vif_plug,
            in_use=self._in_use(),
            use_ipv6=options.use_ipv6,
        )

    def reconcile(self, instances: frozenset[str] | None = None) -> None:
        """Look at rows, whoever wrote them: of instances, or all.

        With all of them, at the whole host too.
        """
        scope = EVERYTHING if instances is None else Scope(instances=instances)
        self._reconciler.ask_and_wait(self._timeout, scope)

    def renew(self, instance_uuid: str, hosts: Iterable[str]) -> None:
        """Have hosts look at the rows of an instance.

        One that cannot be asked now does so by itself later.
        """
        for host in hosts:
            if self.is_here(host):
                self.reconcile(frozenset((instance_uuid,)))
                continue
            with contextlib.suppress(FlatnetError):
                self.peer(host).reconcile(
                    {}, host=host, instance_ids=[instance_uuid]
                )

    def host_state(self) -> Json:
        """What this host made of its last pass, as JSON primitives."""
        return answers.host_state(
            self._settings.host,
            self._reconciler.last,
            running=self._reconciler.running,
        )


class FlatDHCPManager(FlatManager):
    """Attach instances, and be their DHCP server and gateway."""

    takes_host_address = True
