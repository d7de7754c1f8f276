"""What a plan may say of the networks that the guard knows."""

from flatnet.apply.grammar import values
from flatnet.apply.grammar.routers import check_routers
from flatnet.state.plan import GuardedNetwork


def check_guarded_network(network: GuardedNetwork) -> None:
    """Check what is said of a network.

    :raises ValueError: something is not of the grammar
    """
    values.device(network.bridge)
    values.network4(network.cidr)
    values.mac(network.mac)
    values.each(values.ipv4, network.address)
    values.each(values.network6, network.cidr_v6)
    check_routers(network.routers)
    values.each(values.device, network.uplink)
    values.choice(network.serves, (True, False))
    values.choice(network.foreign_ports, ("", "closed", "uplink"))
    values.choice(network.metadata, ("", "own", "all"))
    values.choice(network.shared, (True, False))
    values.each(values.ipv4, network.server)
    values.each(values.mac, network.server_mac)
    if network.serves and network.address is None:
        raise ValueError("a network is served without an address")
