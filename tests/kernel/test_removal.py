"""Devices that are removed are gone when the applier goes on."""

import contextlib

import pytest
from pyroute2.netlink.exceptions import NetlinkError
from test_devices import ip

from flatnet.apply.link import taps
from flatnet.apply.link.device_reads import DUMP
from flatnet.apply.link.devices import Devices
from flatnet.apply.link.link import NO_OPENER, read_links
from flatnet.apply.link.removal import remove, remove_group

GROUP = 77
NOBODY = (NO_OPENER, NO_OPENER)


def indexes(*names):
    found = {each.name: each.index for each in read_links()}
    return frozenset(found[name] for name in names)


def names():
    return {each.name for each in read_links()}


@contextlib.contextmanager
def hearing(kind):
    """Who hears of devices; who has heard that he missed some; and nobody."""
    if kind == "nobody":
        yield DUMP
        return
    with contextlib.closing(Devices()) as devices:
        devices.named()
        yield devices


KINDS = pytest.mark.parametrize("kind", ["events", "missed", "nobody"])


@KINDS
def test_a_name_is_free_at_once(namespace, kind):
    def steps():
        ip("link add d1 type bridge")
        with hearing(kind) as devices:
            for _ in range(20):
                taps.set_tap("tap1", NOBODY)
                ip("link set tap1 master d1 up")
                (index,) = indexes("tap1")
                if kind == "missed":
                    devices.forget()
                remove(index, devices)
                assert names() == {"lo", "d1"}

    namespace.call(steps)


@KINDS
def test_a_group_goes_with_the_other_ends(namespace, kind):
    def steps():
        with hearing(kind) as devices:
            for name in ("v1", "v2", "v3"):
                ip(f"link add {name} type veth peer name {name}b")
                ip(f"link set {name} group {GROUP}")
            if kind == "events":
                devices.named()
            remove_group(GROUP, indexes("v1", "v2", "v3"), devices)
            assert names() == {"lo"}

    namespace.call(steps)


@KINDS
def test_what_the_kernel_refuses_is_an_error(namespace, kind):
    def steps():
        with hearing(kind) as devices:
            (index,) = indexes("lo")
            with pytest.raises(NetlinkError):
                remove(index, devices)
            assert "lo" in names()

    namespace.call(steps)
