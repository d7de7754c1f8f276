"""Whatever is lost of the rules, one thing at a time, lets nobody in."""

import pytest
from arrivals import arrived
from filtered import plan, rule
from segment import guest, segment

NAMES = {"protocol": "udp", "low": 53, "high": 53}


@pytest.fixture
def net():
    with segment() as built:
        built.node.run("sysctl -qw net.ipv4.conf.default.rp_filter=0")
        yield built


def test_no_loss_opens(net):
    def mend():
        grouped = (guest(1), guest(2, security_group_ids=(1,)))
        rules = (rule(1, **NAMES), rule(2, **NAMES, cidr="::/0"))
        plan(net, grouped, rules, allow_same_net_traffic=False)

    mend()
    losses = [*losses_of_rules(net.node), *losses_of_sets(net.node)]
    assert len(losses) > 60
    opening = {}
    for command in losses:
        net.node.run(command)
        if found := arrived(net):
            opening[command] = found
        mend()
    assert opening == {}


def losses_of_rules(node):
    """Commands that each delete a rule, or all of a chain of ours."""
    for tool in ("iptables", "ip6tables"):
        for line in node.run(f"{tool}-save").splitlines():
            words = line.split()
            if line.startswith("*"):
                table, numbers = line[1:], {}
            elif line.startswith(":flatnet-"):
                yield f"{tool} -t {table} -F {words[0][1:]}"
            elif line.startswith("-A"):
                chain = words[1]
                numbers[chain] = numbers.get(chain, 0) + 1
                yield f"{tool} -t {table} -D {chain} {numbers[chain]}"


def losses_of_sets(node):
    """Commands that each take a member from a set, or all of them."""
    for line in node.run("ipset save").splitlines():
        verb, name, member, *_ = line.split()
        is_member = verb == "add"
        yield (
            f"ipset del {name} {member}"
            if is_member
            else f"ipset flush {name}"
        )
