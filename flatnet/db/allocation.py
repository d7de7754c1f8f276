"""Interfaces and addresses of instances, given; and single addresses.

Every function is one transaction that holds the rows of the networks it is
about, so allocations in one network queue up and addresses ascend.  Asked
twice, that of a whole instance answers the same.  An error changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from flatnet.db import (
    allocation_state,
    checks,
    draft,
    drafts,
    engine,
    interfaces,
    ipv6_rows,
    models,
    networks,
    releases,
    requests,
)
from flatnet.db.allocation_state import AllocationState
from flatnet.db.batch import Batch
from flatnet.db.draft import Wanted
from flatnet.db.models import AnyRow
from flatnet.db.orders import (
    Concerned,
    Order,
    Placing,
    Served,
)
from flatnet.db.tenants import Tenants
from flatnet.exceptions import (
    FixedIpInvalid,
    FixedIpNotFoundForSpecificInstance,
    FlatnetError,
)

FIXED_IPS = models.fixed_ips

Answer = Served | FlatnetError


@engine.writes
def allocate(
    connection: Connection,
    *,
    instance_uuid: str,
    placement: Placing,
    requested: Iterable[tuple[str, str | None]] | None = None,
    macs: Iterable[str] = (),
    port_rate: int | None = None,
) -> Served:
    """Give an instance an interface with an address in each network.

    One that is named twice has two.  Asked again for no networks by name, it
    keeps those that it has.

    :param requested: (network uuid, address or none); none: all networks
    :param macs: MACs for new interfaces, in this order; then random ones
    :param port_rate: bit/s of its interfaces, none for what it was
    :raises InstanceNotFound: no living instance has that uuid
    :raises InstanceElsewhere: its row names another host
    :raises NetworkNotFound: a requested network does not exist
    :raises NoMoreFixedIps: a pool is exhausted
    :raises FixedIpInvalid, FixedIpNotFoundForNetwork, FixedIpAlreadyInUse:
        a requested address cannot be had
    :raises InvalidMacAddress, MacAddressInUse: nor a requested MAC
    """
    order = Order(
        instance_uuid=instance_uuid,
        requested=None if requested is None else tuple(requested),
        macs=tuple(macs),
        port_rate=port_rate,
    )
    (answer,), _ = _allocate(connection, Batch([order]), placement)
    if isinstance(answer, FlatnetError):
        raise answer
    return answer


@engine.writes
def allocate_all(
    connection: Connection, batch: Batch[Order], placement: Placing
) -> tuple[tuple[Answer, ...], Concerned]:
    """Do the same for many: each has what it got, or its own error.

    Who cannot be served changes nothing, and the others are.
    """
    answers, found = _allocate(connection, batch, placement)
    served = {
        order.instance_uuid
        for order, answer in zip(batch.items, answers, strict=True)
        if isinstance(answer, Served)
    }
    members = [row for row in found.members if row.instance_uuid in served]
    return answers, interfaces.concerned(members)


@engine.writes
def add_address(
    connection: Connection,
    *,
    instance_uuid: str,
    network_uuid: str,
    placement: Placing,
) -> tuple[Served, Concerned]:
    """Give an instance one more address, with an interface if need be.

    As in nova each call adds one, also if it is asked twice.  The first that
    it has in the network stays the one that is leased.

    :raises InstanceNotFound: no living instance has that uuid
    :raises InstanceElsewhere: its row names another host
    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    order = Order(instance_uuid, requested=((network_uuid, None),))
    locked = requests.locked_networks(connection, [order])
    found = allocation_state.read(connection, [order], locked, placement)
    order, wanted = _checked(order, locked, found.tenants, placement)
    made = drafts.read(connection, [(order, wanted)], found, placement)
    ((network, _),) = wanted
    made = draft.with_one_more(made, order, network)
    drafts.write(connection, made)
    served = draft.result(made, order.instance_uuid)
    return served, interfaces.concerned(found.members)


@engine.writes
def remove_address(
    connection: Connection, *, instance_uuid: str, address: str
) -> Concerned:
    """Take one address back from an instance; its interface stays.

    Of those that are left the first is leased.  With the last of an interface
    goes the one of IPv6 that its MAC makes.

    :raises FixedIpNotFoundForSpecificInstance: it does not hold it
    :raises FixedIpInvalid: it is that one
    """
    if ":" in address:
        raise FixedIpInvalid(
            f"{address} is not taken back by itself: it goes with the last "
            "IPv4 address of its interface"
        )
    held = (
        FIXED_IPS.c.instance_uuid == instance_uuid,
        FIXED_IPS.c.address == address,
    )
    network_ids = connection.scalars(
        select(FIXED_IPS.c.network_id).where(*held)
    ).all()
    if not network_ids:
        raise FixedIpNotFoundForSpecificInstance(
            f"instance {instance_uuid} does not hold {address}"
        )
    have_ipv6 = networks.lock(connection, network_ids).have_ipv6
    releases.release(connection, *held)
    if have_ipv6:
        ipv6_rows.release_alone(connection, instance_uuid)
    return interfaces.members(connection, [instance_uuid])


def _allocate(
    connection: Connection, batch: Batch[Order], placement: Placing
) -> tuple[tuple[Answer, ...], AllocationState]:
    """Serve orders in their turn, and write what they got."""
    locked = requests.locked_networks(connection, batch.items)
    batch.join(requests.are_served_by(locked, batch.items))
    orders = batch.items
    # Now that nobody else can get at the networks: a call that waited may be
    # late, and its instance gone.
    found = allocation_state.read(connection, orders, locked, placement)
    answers: dict[int, Answer] = {}
    wanted: dict[int, tuple[Order, Wanted]] = {}
    for number, order in enumerate(orders):
        try:
            wanted[number] = _checked(order, locked, found.tenants, placement)
        except FlatnetError as error:
            answers[number] = error
    made = drafts.read(connection, tuple(wanted.values()), found, placement)
    for number, (order, networks_of_it) in wanted.items():
        try:
            made = draft.served(made, order, networks_of_it)
        except FlatnetError as error:
            answers[number] = error
    drafts.write(connection, made)
    given = tuple(
        answers.get(number) or draft.result(made, order.instance_uuid)
        for number, order in enumerate(orders)
    )
    return given, found


def _checked(
    order: Order,
    locked: Sequence[AnyRow],
    known: Tenants,
    placement: Placing,
) -> tuple[Order, Wanted]:
    """Return an order with its MACs as they are stored, and its networks."""
    found = known.by_uuid.get(order.instance_uuid)
    has = [vif.network_id for vif in found.vifs] if found else []
    wanted = requests.wanted_networks(order, locked, has)
    known.get(order.instance_uuid).check_host(placement.host)
    return replace(order, macs=tuple(checks.macs(order.macs))), wanted
