"""Hosts that are the one server of a network, and have to know its guests."""

from collections.abc import Callable, Collection, Iterable

from flatnet.config.settings import Settings
from flatnet.exceptions import HostSetupError
from flatnet.following import Followers, served
from flatnet.passes.outcome import Pass
from flatnet.passes.reconciler import Reconciler
from flatnet.rpc.client import NetworkAPI
from flatnet.state.rows import Network
from flatnet.state.scope import Scope, of_instance
from flatnet.state.shared_networks import has_one_server


class NetworkServers:
    """Asks those of other hosts to follow, and is asked to.

    :param peer: returns the client by which a host is reached
    :param timeout: seconds that a caller waits for this host to be ready
    """

    def __init__(
        self,
        peer: Callable[[str], NetworkAPI],
        settings: Settings,
        reconciler: Reconciler,
        timeout: float,
    ) -> None:
        self._followers = Followers(peer, settings.host, served)
        self._asks = settings.dhcp
        self._reconciler = reconciler
        self._timeout = timeout

    def bring(
        self,
        instance_uuid: str,
        networks: Iterable[Network],
        *,
        renewed: bool,
    ) -> Pass:
        """Bring this host, and servers of networks, to an instance's rows.

        :raises HostSetupError: one of them could not, or not in time
        """
        scope = of_instance(instance_uuid, renewed=renewed)
        ticket = self._reconciler.ask(scope)
        behind = self.behind(instance_uuid, networks)
        outcome = self._reconciler.wait(ticket, self._timeout)
        outcome.check(instance_uuid)
        if behind:
            raise HostSetupError(behind)
        return outcome

    def behind(self, instance_uuid: str, networks: Iterable[Network]) -> str:
        """Have the servers of networks follow an instance's rows.

        :returns: which of them have not, and why, in one line; or empty
        """
        hosts = {
            each.host
            for each in networks
            if self._asks and has_one_server(each) and each.host
        }
        found = self._followers.behind(instance_uuid, sorted(hosts))
        lines = (f"{host}: {reason}" for host, reason in found.items())
        text = "; ".join(lines)
        return text and (
            f"instance {instance_uuid} is not served yet by who serves all "
            f"guests of its network, host {text}; it follows when it can, "
            "asking again is safe"
        )

    def serve(self, instances: Collection[str]) -> dict[str, str]:
        """Serve instances of other hosts, as their rows are now.

        :returns: why they are not, by the uuids of those that are not
        """
        scope = Scope(instances=frozenset(instances))
        outcome = self._reconciler.ask_and_wait(self._timeout, scope)
        return outcome.lacking(instances)
