"""Which devices are whose, kept up while devices and plans are others."""

import random
from dataclasses import replace

import pytest

from flatnet.apply.link.device_index import DeviceIndex
from flatnet.apply.link.device_view import DeviceView
from flatnet.apply.link.link import MARK, SWITCHES, Link
from flatnet.state.sliced_collections import SlicedMap


def some_device(luck):
    return Link(
        index=luck.randint(1, 9),
        name=f"d{luck.randint(1, 12)}",
        kind=luck.choice(("tun", "veth", "", *SWITCHES)),
        alias=luck.choice(("", MARK)),
        master=luck.randint(0, 3),
        peer=0,
        mac="02:00:00:00:00:01",
        mtu=1500,
        up=True,
        ipv6=False,
    )


def some_names(luck, names):
    """Others that are planned; mostly nearly the same."""
    if luck.random() < 0.1:
        return SlicedMap()
    moved = [f"d{luck.randint(1, 12)}" for _ in range(2)]
    return names.changed({moved[0]: luck.randint(1, 3)}, moved[1:])


def check(device_index, links, planned, guarded):
    """Hold all that it answers against a look at everything."""
    assert device_index.links == links
    for names, beside in (
        (planned, device_index.ports),
        (guarded, device_index.guarded),
    ):
        assert beside.unplanned(names) == links.keys() - set(names)
        assert beside.missing(names) == set(names) - links.keys()
    for index in range(4):
        on = {n for n, each in links.items() if index and each.master == index}
        assert device_index.slaves(index) == on
    for link in links.values():
        named = device_index.name(link.index)
        assert links[named].index == link.index
    assert device_index.marked == {n for n, each in links.items() if each.ours}
    wanted = [n for n, each in sorted(links.items()) if each.kind in SWITCHES]
    assert [each.name for each in device_index.switches] == wanted


@pytest.mark.parametrize("seed", range(20))
def test_what_was_kept_up_is_what_a_look_at_everything_finds(seed):
    luck, device_index, links = random.Random(seed), DeviceIndex(), {}
    planned, guarded = SlicedMap(), SlicedMap()
    for _ in range(300):
        if luck.random() < 0.4:
            name = f"d{luck.randint(1, 12)}"
            links.pop(name, None)
            device_index.drop(name)
        else:
            link = some_device(luck)
            # One that has another name now has it no more.
            for name in [n for n, e in links.items() if e.index == link.index]:
                del links[name]
                device_index.drop(name)
            links[link.name] = link
            device_index.put(link)
        if luck.random() < 0.3:
            planned = some_names(luck, planned)
        if luck.random() < 0.3:
            guarded = some_names(luck, guarded)
        if luck.random() < 0.5:
            check(device_index, links, planned, guarded)
    check(DeviceIndex(links.values()), links, planned, guarded)


def test_a_pass_sees_a_device_as_it_was_at_its_first_look():
    luck = random.Random(1)
    first, second = (replace(some_device(luck), name="a") for _ in range(2))
    other = replace(first, index=8, name="b", master=first.index)
    device_index = DeviceIndex((first, other))
    links = DeviceView(device_index)
    assert links["a"] is first
    device_index.put(second)
    device_index.drop("b")
    assert links["a"] is first
    assert DeviceView(device_index)["a"] is second
    assert "b" not in links
    device_index.put(other)
    assert "b" not in links
    links["b"] = other
    assert links == {"a": first, "b": other}
    assert links.on(first.index) == [other]
    assert links.at(8) is other


def test_a_pass_forgets_who_is_gone_under_every_name():
    luck = random.Random(2)
    pair = [replace(some_device(luck), index=n, name=f"v{n}") for n in (4, 5)]
    looked, unseen = (
        DeviceView(DeviceIndex(pair)),
        DeviceView(DeviceIndex(pair)),
    )
    assert set(looked) == {"v4", "v5"}
    for links in (looked, unseen):
        links.forget({4, 5, 6})
        assert (set(links), links.at(4)) == (set(), None)
    with pytest.raises(KeyError):
        del looked["v4"]
