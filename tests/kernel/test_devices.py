"""Devices and addresses as events keep them, held against the kernel's own."""

import contextlib
import random
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from flatnet.apply.link.devices import Devices
from flatnet.apply.link.link import dumped, read_addresses, read_links
from tests.waiting import eventually

STEPS = 60
CHANGES = (
    "link add {0} type bridge",
    "link add {0} type veth peer name {0}b",
    "link add {0} link {2} type macvlan mode bridge",
    "link del {0}",
    "link set {0} up",
    "link set {0} down",
    "link set {0} mtu {1}400",
    "link set {0} master {2}",
    "link set {0} nomaster",
    "link set {0} name {2}",
    "addr add 10.{1}.0.1/24 dev {0}",
    "addr add 2001:db8:{1}::1/64 dev {0}",
    "addr del 10.{1}.0.1/24 dev {0}",
    "addr flush dev {0}",
)


def ip(words):
    """Do something; what cannot be done does nothing."""
    subprocess.run(
        ("ip", *words.split()), capture_output=True, check=False, timeout=60
    )
    return words


def change(chosen):
    """Do something to some device."""
    names = chosen.sample(("d1", "d2", "d3", "d4"), 2)
    number = chosen.randint(1, 4)
    return ip(chosen.choice(CHANGES).format(names[0], number, names[1]))


def addresses(found):
    """All but those that the kernel makes and tells of when they are sure."""
    return sorted(
        (each.index, each.value, each.is_global)
        for each in found
        if not each.ip.startswith("fe80:")
    )


def agree(devices):
    """Whether both say the same, now or once the kernel has done its part."""
    links = devices.named(), {each.name: each for each in read_links()}
    known = addresses(devices.addresses()), addresses(read_addresses())
    return links[0] == links[1] and known[0] == known[1]


def nothing(devices, chosen):
    """Do nothing between two changes."""


def a_reading(devices, chosen):
    """Read one again, if it is there."""
    with contextlib.suppress(OSError):
        devices.reread(chosen.choice(("d1", "d2", "d3", "d4")))


@pytest.mark.parametrize("between", [nothing, a_reading])
@pytest.mark.parametrize("seed", range(4))
def test_what_events_say_is_what_a_dump_says(namespace, seed, between):
    def followed():
        chosen, done = random.Random(seed), []
        with contextlib.closing(Devices()) as devices:
            for _ in range(STEPS):
                done.append(change(chosen))
                between(devices, chosen)
                eventually(partial(agree, devices), done)

    namespace.call(followed)


def test_who_is_read_after_events_is_what_was_read(namespace):
    def reread():
        with contextlib.closing(Devices()) as devices:
            devices.named()
            ip("link add d1 type bridge")
            ip("link set d1 up")
            assert devices.reread("d1").up
            assert devices.moved().links == ()
            # Another of its name: what was told of the first counts too.
            ip("link del d1")
            ip("link add d1 type veth peer name d2")
            assert devices.reread("d1").kind == "veth"
            assert agree(devices)
            with pytest.raises(OSError, match="No such device"):
                devices.reread("d3")
            ip("link del d1")
            with pytest.raises(OSError, match="No such device"):
                devices.reread("d1")
            assert agree(devices)
            return sorted(devices.named())

    assert namespace.call(reread) == ["lo"]


def test_what_was_there_before_is_nobodys_deed(namespace):
    def looked():
        ip("link add d1 type bridge")
        with contextlib.closing(Devices()) as devices:
            devices.named()
            assert devices.moved().links == ()
            ip("link set d1 up")
            ((before, now),) = devices.moved().links
            return before.up, now.up

    assert namespace.call(looked) == (False, True)


def test_the_devices_are_the_same_objects_until_one_is_another(namespace):
    def read():
        with contextlib.closing(Devices()) as devices:
            before, again = dict(devices.named()), devices.named()
            assert all(again[name] is before[name] for name in before)
            subprocess.run(
                ["ip", "link", "add", "d1", "type", "bridge"], check=True
            )
            return devices.named().keys() - before.keys()

    assert namespace.call(read) == {"d1"}


def test_what_no_event_tells_is_read_again_where_it_is_due(namespace):
    """A look rests for a while, and what it found before stands so long."""
    flag = "/proc/sys/net/ipv6/conf/d1/disable_ipv6"

    def flipped():
        ip("link add d1 type bridge")
        with contextlib.closing(Devices()) as devices:
            devices.named()
            assert devices.find("d1").ipv6
            devices.moved()
            Path(flag).write_text("1")

            def is_seen():
                devices.doubt()
                devices.named()
                return not devices.find("d1").ipv6

            eventually(is_seen, "not seen")
            return [(e.ipv6, now.ipv6) for e, now in devices.moved().links]

    assert namespace.call(flipped) == [(True, False)]


def test_looks_that_follow_each_other_are_one(namespace, monkeypatch):
    asked = []

    def counted():
        asked.append(None)
        time.sleep(0.01)
        return dumped()

    def looked():
        monkeypatch.setattr("flatnet.apply.link.dumps.dumped", counted)
        with contextlib.closing(Devices()) as devices:
            for _ in range(10):
                devices.doubt()
                devices.named()
        return len(asked)

    assert namespace.call(looked) == 1


def test_what_was_heard_by_whoever_asked_is_news_all_the_same(namespace):
    """Though nothing wakes up who waits for the socket."""

    def heard():
        ip("link add d1 type veth peer name d2")
        with contextlib.closing(Devices()) as devices:
            devices.named()
            devices.addresses()
            devices.moved()
            assert not devices.has_news
            for act in ("link set d1 mtu 1400", "address add 10.0.0.1 dev d1"):
                ip(act)
                eventually(lambda: (devices.addresses(), devices.has_news)[1])
                assert devices.moved()
                assert not devices.has_news

    namespace.call(heard)


def test_who_gets_ipv6_is_told(namespace):
    flag = "/proc/sys/net/ipv6/conf/d1/disable_ipv6"

    def flipped():
        ip("link add d1 type veth peer name d2")
        ip("link set d1 up")
        ip("link set d2 up")
        Path(flag).write_text("1")
        with contextlib.closing(Devices()) as devices:
            assert not devices.named()["d1"].ipv6
            Path(flag).write_text("0")
            eventually(lambda: devices.named()["d1"].ipv6)
            # That there is a carrier the kernel may tell a second later.
            ((before, now),) = (
                pair for pair in devices.moved().links if pair[1].name == "d1"
            )
            assert (before.ipv6, now.ipv6) == (False, True)

    namespace.call(flipped)
