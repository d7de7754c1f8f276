"""The tree of chains finds every address, and nothing else."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from flatnet.plan.dispatch import tree
from flatnet.state import Chain


@given(st.sets(st.ip_addresses(v=4) | st.integers(0, 4095), max_size=60))
def test_the_tree_finds_each_address_in_few_steps(found):
    base = int(ipaddress.ip_address("10.0.0.0"))
    addresses = {
        ipaddress.ip_address(base + each) if isinstance(each, int) else each
        for each in found
    }
    chains = tree(
        Chain("root"), tuple((each, f"-j {each}") for each in addresses)
    )
    rules = {chain.name: chain.rules for chain in chains}
    assert len(rules) == len(chains)
    assert all(len(name) <= 28 for name in rules)
    for address in addresses:
        assert walk(rules, "root", address) == str(address)
    below = [rules[name] for name in rules if name != "root"]
    assert all(len(each) <= 16 for each in below)


def walk(rules, name, address):
    """Where a packet for an address ends up."""
    if name not in rules:
        return name
    for rule in rules[name]:
        _, cidr, _, target = rule.split(" ")
        if address in ipaddress.ip_network(cidr):
            return walk(rules, target, address)
    return None
