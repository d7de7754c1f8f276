"""What leads a groupcast's copy to the rules of its guest's groups."""

import random

import pytest

from flatnet.apply.filter import groupcast_mark
from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.groupcasts import SET_KEYS
from flatnet.apply.filter.iptables import groupcast_tree
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.groupcast_tree import GroupcastTree
from flatnet.apply.filter.iptables.profiles import profile_id
from flatnet.state.filtering import Group, Opening
from flatnet.state.rows import SecurityGroup
from tests.builders import interface, snapshot
from tests.unit.test_plan_guard import planned

SSH = Opening(4, protocol=6, first=22, last=22)
IPV6 = Opening(6, protocol=6, first=22, last=22)


def layout(whole, rules):
    """Of guests in these groups; `rules` are openings by group."""
    groups = tuple(Group(each, mine) for each, mine in sorted(rules.items()))
    ruled = {each for each, mine in rules.items() if SSH in mine}
    profiles = {tuple(g for g in mine if g in ruled) for mine in whole}
    return ChainLayout(
        same_network=False,
        profiles={4: frozenset(profiles - {()}), 6: frozenset()},
        whole_profiles=frozenset(whole),
        groups=groups,
    )


def led(tree, wanted):
    """Return {mark: the profile that it leads to}, followed like a packet."""
    chains = {each.name: each for each in tree.chains(wanted)}
    found = {}
    for mine in wanted.whole_profiles:
        value = int(groupcast_mark.mark(mine), 16)
        found[mine] = _followed(chains, groupcast_tree.ROOT, value)
    return found


def _followed(chains, name, value):
    for rule in chains[name].rules:
        _, _, _, match, _, target = rule.split()
        mark, mask = (int(each, 16) for each in match.split("/"))
        if value & mask == mark:
            return (
                _followed(chains, target, value)
                if target in chains
                else (target)
            )
    return None


def target(*groups):
    return f"flatnet-p-{profile_id(groups)}"


def test_a_mark_leads_to_the_groups_that_have_rules():
    wanted = layout(
        {(1,), (1, 2), (1, 3), (3,)}, {1: (SSH,), 2: (SSH,), 3: (IPV6,)}
    )
    assert led(GroupcastTree(4), wanted) == {
        (1,): target(1),
        (1, 2): target(1, 2),
        (1, 3): target(1),
        (3,): None,
    }


def test_of_profiles_with_one_mark_none_is_led(monkeypatch):
    digits = {(1,): "abcdef0", (2,): "abcdef0", (3,): "abcdef1"}
    monkeypatch.setattr(groupcast_tree, "profile_digits", digits.__getitem__)
    monkeypatch.setattr(groupcast_mark, "profile_digits", digits.__getitem__)
    wanted = layout({(1,), (2,), (3,)}, dict.fromkeys((1, 2, 3), (SSH,)))
    found = led(GroupcastTree(4), wanted)
    assert found == {(1,): None, (2,): None, (3,): target(3)}


@pytest.mark.parametrize("seed", range(10))
def test_chains_are_as_if_they_were_made_at_once(seed):
    chance, tree = random.Random(seed), GroupcastTree(4)
    rules = dict.fromkeys(range(1, 30), (SSH,))
    whole = set()
    for _ in range(60):
        whole.add(tuple(sorted(chance.sample(sorted(rules), 2))))
        if not chance.randrange(5):
            whole.discard(chance.choice(sorted(whole)))
        if not chance.randrange(4):
            rules[chance.choice(sorted(rules))] = chance.choice(
                ((), (SSH,), (IPV6,))
            )
        wanted = layout(whole, rules)
        assert tree.chains(wanted) == GroupcastTree(4).chains(wanted)


def test_groups_that_are_new_together_are_a_way_more():
    rules = dict.fromkeys(range(1, 300), (SSH,))
    tree = GroupcastTree(4)
    before = tree.chains(layout({(each,) for each in rules}, rules))
    rules[300] = (SSH,)
    after = tree.chains(layout({(each,) for each in rules}, rules))
    others = {each.name for each in after} - {
        new.name for new, old in zip(after, before, strict=True) if new is old
    }
    digits = groupcast_mark.profile_digits((300,))
    assert others == {f"flatnet-p-m{digits[:2]}"}


def test_an_element_of_a_map_is_its_key_and_what_it_leads_to():
    key = SET_KEYS["groupcasts"]
    element = ("tap1", "0x8abcdef0")
    data = nft_keys.encoded(key, element)
    assert len(data) == 16 + nft_keys.value_size(key)
    assert nft_keys.decoded(key, data) == element
    assert nft_keys.text(key, element) == '"tap1" : 0x8abcdef0'
    assert nft_keys.value_size("type ifname . ipv4_addr") == 0


@pytest.mark.parametrize(
    ("cidr", "address"),
    [
        ("10.0.0.0/24", "10.0.0.255"),
        ("10.0.0.0/31", None),
        ("10.0.0.0/32", None),
        ("2001:db8::/64", None),
        ("rubbish", None),
    ],
)
def test_the_broadcast_address_of_a_network(cidr, address):
    assert groupcast_mark.broadcast(cidr) == address


def test_the_guard_knows_the_groups_of_ports():
    """Of those that exist: any other lets nothing in."""
    rows = snapshot(
        interfaces=(interface(1, security_group_ids=(7, 9)),),
        security_groups=(SecurityGroup(7, "web"),),
    )
    found = planned(rows, allow_same_net_traffic=False)
    assert [port.groups for port in found.ports] == [(7,)]
