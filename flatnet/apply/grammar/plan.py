"""Every value of a plan, checked by the type it has, in one place.

The applier is root and the plan comes from a process that talks to a broker
and a database.  Nothing of it becomes a word of a command, a line of a file
or a netlink message before it went through here.

What is wrong with one instance costs that instance: it is left out, its
rules become a drop, and it is named.  What is wrong with the host refuses
the plan, for then nobody knows what it would make of the host.
"""

from dataclasses import replace

from flatnet.apply.grammar import values
from flatnet.apply.grammar.bounds import check_bounds, few
from flatnet.apply.grammar.filter import checked_filter
from flatnet.apply.grammar.guarded import check_guarded_network
from flatnet.apply.grammar.instances import Instances, Passed, subject
from flatnet.apply.grammar.needs import check_in_use
from flatnet.apply.grammar.routers import check_advertised, check_routers
from flatnet.apply.link.sysctl import path
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Failure, guest_key, network_key
from flatnet.state.effects import Subject, Surface
from flatnet.state.name_index import amended
from flatnet.state.plan import (
    Bridge,
    DhcpHost,
    DhcpServer,
    Guard,
    GuardedPort,
    NamesSlice,
    Plan,
    Port,
)

_MTU = range(68, 65536)
_SECONDS = range(1, 1 << 31)
_IDS = range(10**18)
_LONGEST_ID = 20
# Of the widest range.
_SLICES = range(1 << 24)
_TIMES = range(101)
_LONGEST_HOST = 255
_LONGEST_FAULT = 500
_MEND = "mend its row"


def checked(plan: Plan, passed: Passed) -> tuple[Plan, tuple[Failure, ...]]:
    """Return the plan without the instances that are not of the grammar.

    :param passed: the plan before, and the parts that passed in it
    :raises HostSetupError: the host itself is not
    """
    if passed.whole is not None and passed.whole[0] is plan:
        return passed.whole[1]
    passed.begin()
    found = _checked(plan, Instances(plan, passed))
    passed.whole = plan, found
    return found


def _checked(plan: Plan, found: Instances) -> tuple[Plan, tuple[Failure, ...]]:
    try:
        check_bounds(plan)
        _check_host_name(plan.host)
        for device in plan.forwarding.devices:
            values.device(device)
        for each in plan.in_use:
            check_in_use(each)
        guard = plan.guard
        bridges = tuple(_bridge(each, found) for each in plan.bridges)
        return (
            replace(
                plan,
                bridges=bridges,
                arranged=amended(
                    plan.arranged, [each.ports for each in bridges]
                ),
                dhcp_servers=tuple(
                    _dhcp_server(each, found) for each in plan.dhcp_servers
                ),
                filter=checked_filter(plan.filter, found),
                guard=_guard(guard, found) if guard else None,
                sysctls=tuple(_sysctl(each, plan) for each in plan.sysctls),
                renewed=found.kept(plan.renewed, values.uuid, _renewal),
                gone=found.kept(plan.gone, values.port_name, _nameless),
                moved=found.kept(plan.moved, values.port_name, _nameless),
            ),
            found.failures,
        )
    except ValueError as error:
        raise HostSetupError(f"a plan is refused whole: {error}") from error


def _check_host_name(name: str) -> None:
    if len(name) > _LONGEST_HOST or not (
        name.isascii() and name.isprintable()
    ):
        raise ValueError(f"{ascii(name)[:60]} is no name of a host")


def _renewal(uuid: str) -> Failure:
    return Failure(subject(Surface.INSTANCE, uuid), _MEND, (uuid,))


def _nameless(name: str) -> Failure:
    return Failure(subject(Surface.PORT, name), _MEND)


def _bridge(bridge: Bridge, found: Instances) -> Bridge:
    values.device(bridge.name)
    values.uuid(bridge.network_uuid)
    values.mac(bridge.mac)
    values.integer(bridge.mtu, _MTU)
    values.integer(bridge.network, _IDS)
    values.integer(bridge.announced, _TIMES)
    values.choice(bridge.asks, (True, False))
    values.each(values.device, bridge.uplink)
    values.each(values.interface, bridge.address)
    check_routers(bridge.routers)
    sound = found.kept(bridge.ports, _check_port, _port_failure)
    ports = sound
    if sound is not bridge.ports:
        kept = set(map(id, sound))
        shut = [_quiet(port) for port in bridge.ports if id(port) not in kept]
        ports = (*sound, *filter(None, shut))
    if bridge.fault:
        fault = "".join(c if c.isprintable() else "?" for c in bridge.fault)
        uuids = {each for port in bridge.ports for each in _uuids(port)}
        found.fail(
            Failure(
                subject(Surface.BRIDGE, bridge.name),
                fault[:_LONGEST_FAULT],
                tuple(sorted(uuids)),
                network_key(bridge.network),
            )
        )
    return replace(bridge, ports=ports)


def _quiet(port: Port) -> Port | None:
    """A port that stays where it is, shut, until its row is mended.

    Left out, it would be removed from under a guest that runs.
    """
    try:
        values.port_name(port.name)
        values.choice(port.kind, ("tap", "veth"))
    except ValueError:
        return None
    return replace(
        port,
        mac="02:00:00:00:00:00",
        instance_uuid=_uuids(port)[-1],
        addresses=(),
        peer="vif" + port.name[3:] if port.kind == "veth" else None,
        owner=None,
        group=None,
        stays="always",
    )


def _check_port(port: Port) -> None:
    values.port_name(port.name)
    values.choice(port.kind, ("tap", "veth", "external"))
    values.choice(port.stays, ("always", "used", "shut", "unplugged"))
    values.rate(port.rate)
    values.mac(port.mac)
    values.uuid(port.instance_uuid)
    few("addresses", port.addresses)
    for each in port.addresses:
        values.address(each)
    if port.kind == "veth":
        values.peer_name(port.peer)
    elif port.peer is not None:
        raise ValueError("it has a peer that it should not have")
    values.each(values.user, port.owner, port.group)


def _port_failure(port: Port | GuardedPort) -> Failure:
    return Failure(subject(Surface.PORT, port.name), _MEND, _uuids(port))


def _uuids(port: Port | GuardedPort) -> tuple[str, ...]:
    """Whom a bad port names; last comes what can be written on it.

    Under that name it is shut, where the row's own cannot be used.
    """
    try:
        values.uuid(port.instance_uuid)
    except ValueError:
        stand_in = f"unfit-{port.name.removeprefix('tap')}"
        return tuple(filter(None, (port.instance_uuid, stand_in)))
    return (port.instance_uuid,)


def _guard(guard: Guard, found: Instances) -> Guard:
    for network in guard.networks:
        check_guarded_network(network)
    for each in (
        guard.prevent_spoofing,
        guard.isolated,
        guard.has_foreign_openings,
    ):
        values.choice(each, (True, False))
    ports = found.kept(guard.ports, _check_guarded, _port_failure)
    if ports is guard.ports:
        return guard
    return replace(
        guard, ports=ports, arranged=amended(guard.arranged, (ports,))
    )


def _check_guarded(port: GuardedPort) -> None:
    values.port_name(port.name)
    values.mac(port.mac)
    for each in (port.filtered, port.hairpin):
        values.choice(each, (True, False))
    if port.instance_uuid:
        values.uuid(port.instance_uuid)
    few("groups", port.groups)
    for number in port.groups:
        values.integer(number, _IDS)
    few("addresses", port.addresses)
    for address in port.addresses:
        values.address(address)


def _dhcp_server(server: DhcpServer, found: Instances) -> DhcpServer:
    values.device(server.bridge)
    values.ipv4(server.address)
    values.network4(server.cidr)
    values.ipv4(server.router)
    values.integer(server.mtu, _MTU)
    values.integer(server.lease_time, _SECONDS)
    values.domain(server.domain)
    values.choice(server.releases, (True, False))
    for each in server.servers:
        values.address(each)
    if server.ipv6 is not None:
        check_advertised(server.ipv6)

    def named(host: DhcpHost) -> Failure:
        """What is left out is one guest's line, and no network's server."""
        called = subject(Surface.DHCP, server.bridge)
        uuids, key = (host.instance_uuid,), guest_key(host.uuid)
        return Failure(called, _MEND, uuids, key)

    return replace(
        server,
        hosts=found.kept(server.hosts, _check_host, named),
        elsewhere=found.kept(server.elsewhere, _check_names, _unnamed),
    )


def _check_names(names: NamesSlice) -> None:
    values.integer(names.network, _IDS)
    values.integer(names.number, _SLICES)
    few("names", names.names)
    for address, name in names.names:
        values.address(address)
        values.hostname(name)


def _unnamed(names: NamesSlice) -> Failure:
    """Names that are left out are those of guests of other hosts."""
    key = ascii(names.network)[:_LONGEST_ID]
    return Failure(Subject(Surface.DHCP, f"names of network {key}"), _MEND)


def _check_host(host: DhcpHost) -> None:
    values.mac(host.mac)
    values.ipv4(host.address)
    values.uuid(host.uuid)
    values.uuid(host.instance_uuid)
    values.each(values.hostname, host.name)
    values.choice(host.has_router, (True, False))
    values.each(values.ipv6, host.address_v6)


def _sysctl(setting: tuple[str, str], plan: Plan) -> tuple[str, str]:
    name, value = setting
    values.number(value, range(1 << 31))
    try:
        path(name, frozenset(bridge.name for bridge in plan.bridges))
    except HostSetupError as error:
        raise ValueError(f"{ascii(name)[:60]}: {error}") from error
    return setting
