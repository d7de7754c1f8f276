"""Which devices are whose, kept up while devices and plans are others."""

import random
from dataclasses import replace

import pytest

from flatnet.apply.link.link import MARK, SWITCHES, Link
from flatnet.apply.link.looked import Looked
from flatnet.apply.link.roll import Roll
from flatnet.state.sliced import SlicedMap


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


def check(roll, links, planned, guarded):
    """Hold all that it answers against a look at everything."""
    assert roll.links == links
    for names, beside in ((planned, roll.ports), (guarded, roll.guarded)):
        assert beside.unplanned(names) == links.keys() - set(names)
        assert beside.missing(names) == set(names) - links.keys()
    for index in range(4):
        on = {n for n, each in links.items() if index and each.master == index}
        assert roll.slaves(index) == on
    for link in links.values():
        named = roll.name(link.index)
        assert links[named].index == link.index
    assert roll.marked == {n for n, each in links.items() if each.ours}
    wanted = [n for n, each in sorted(links.items()) if each.kind in SWITCHES]
    assert [each.name for each in roll.switches] == wanted


@pytest.mark.parametrize("seed", range(20))
def test_what_was_kept_up_is_what_a_look_at_everything_finds(seed):
    luck, roll, links = random.Random(seed), Roll(), {}
    planned, guarded = SlicedMap(), SlicedMap()
    for _ in range(300):
        if luck.random() < 0.4:
            name = f"d{luck.randint(1, 12)}"
            links.pop(name, None)
            roll.drop(name)
        else:
            link = some_device(luck)
            # One that has another name now has it no more.
            for name in [n for n, e in links.items() if e.index == link.index]:
                del links[name]
                roll.drop(name)
            links[link.name] = link
            roll.put(link)
        if luck.random() < 0.3:
            planned = some_names(luck, planned)
        if luck.random() < 0.3:
            guarded = some_names(luck, guarded)
        if luck.random() < 0.5:
            check(roll, links, planned, guarded)
    check(Roll(links.values()), links, planned, guarded)


def test_a_pass_sees_a_device_as_it_was_at_its_first_look():
    luck = random.Random(1)
    first, second = (replace(some_device(luck), name="a") for _ in range(2))
    other = replace(first, index=8, name="b", master=first.index)
    roll = Roll((first, other))
    links = Looked(roll)
    assert links["a"] is first
    roll.put(second)
    roll.drop("b")
    assert links["a"] is first
    assert Looked(roll)["a"] is second
    assert "b" not in links
    roll.put(other)
    assert "b" not in links
    links["b"] = other
    assert links == {"a": first, "b": other}
    assert links.on(first.index) == [other]
    assert links.at(8) is other


def test_a_pass_forgets_who_is_gone_under_every_name():
    luck = random.Random(2)
    pair = [replace(some_device(luck), index=n, name=f"v{n}") for n in (4, 5)]
    looked, unseen = Looked(Roll(pair)), Looked(Roll(pair))
    assert set(looked) == {"v4", "v5"}
    for links in (looked, unseen):
        links.forget({4, 5, 6})
        assert (set(links), links.at(4)) == (set(), None)
    with pytest.raises(KeyError):
        del looked["v4"]
