"""What parts that were received say several times is one object."""

import msgspec

from flatnet.apply import channel, shared_texts
from flatnet.state.filtering import Guest
from flatnet.state.parts import Delta, GuestPart, HostPart, Parts
from flatnet.state.plan import DhcpHost, GuardedPort, Port

MAC, UUID, VIF = "fa:16:3e:00:00:01", "an-instance", "an-interface"
ADDRESSES = ("10.0.0.2", "fe80::2")


def guest():
    return GuestPart(
        network=1,
        port=Port("tap1", "tap", MAC, UUID, ADDRESSES),
        guarded=GuardedPort("tap1", MAC, ADDRESSES, UUID),
        filtered=Guest(VIF, UUID, "br100", ADDRESSES, True, (1, 2)),
        dhcp=DhcpHost(MAC, ADDRESSES[0], VIF, UUID),
    )


def received():
    parts = Parts(
        HostPart("node1"),
        guests={VIF: guest()},
        members={},
        names={},
        served={},
    )
    work = channel.Work(number=1, delta=Delta(parts))
    body = msgspec.json.encode(channel.Request(work=work))
    request = msgspec.json.decode(body, type=channel.Request)
    return request.work.delta.put.guests


def test_texts_of_a_guest_are_kept_once():
    guests = received()
    shared_texts.share(guests)
    ((key, part),) = guests.items()
    assert part == guest()
    assert part.filtered.uuid is part.dhcp.uuid is key
    assert part.guarded.mac is part.port.mac is part.dhcp.mac
    assert part.guarded.instance_uuid is part.port.instance_uuid
    assert part.guarded.addresses is part.port.addresses
    assert part.dhcp.address is part.port.addresses[0]


def test_a_guest_without_rules_and_dhcp_has_none_still():
    shut = GuestPart(1, Port("tap1", "tap", MAC, UUID))
    guests = {VIF: shut}
    shared_texts.share(guests)
    assert guests == {VIF: GuestPart(1, Port("tap1", "tap", MAC, UUID))}
