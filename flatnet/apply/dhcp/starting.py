"""Start a DHCP server, which may have to wait for its ports."""

import time

from flatnet.apply.command import run
from flatnet.apply.dhcp.taken_ports import TakenPorts
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import DhcpServer

# dnsmasq's exit status, among others, if its address is in use.
_ADDRESS_TAKEN = 2
# Seconds that one that ends has to let go of its sockets.
_PATIENCE = 0.5


def start(
    server: DhcpServer, arguments: tuple[str, ...], taken: TakenPorts
) -> None:
    """Start a dnsmasq; it has bound its sockets when this returns.

    dnsmasq goes to the background only after that, and says on stderr what
    kept it from it.  One that is ending has no command line any more, so
    that nobody finds it, but for a moment still its sockets.

    :param taken: where it is noted if somebody else has its ports
    :raises HostSetupError: it does not run
    """
    deadline = time.monotonic() + _PATIENCE
    done = run(*arguments)
    while done.status == _ADDRESS_TAKEN and time.monotonic() < deadline:
        time.sleep(0.02)
        done = run(*arguments)
    if done.status == _ADDRESS_TAKEN:
        taken.note(server.bridge, server.address)
    if done.status:
        raise HostSetupError(
            done.error or f"dnsmasq ended with status {done.status}"
        )
