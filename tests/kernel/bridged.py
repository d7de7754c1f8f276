"""Plans of a bridge with ports, applied, and what the kernel then shows."""

from dataclasses import replace

from flatnet.apply.link.bridge import apply_bridges, remove_ports
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from flatnet.state.changes import Changes, joined
from flatnet.state.plan import Bridge, Plan, Port

NETWORK = "11111111-1111-4111-8111-111111111111"
MAC = "02:aa:bb:cc:dd:ee"


def instance(number):
    return f"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbb{number:04d}"


def tap(number):
    mac = f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"
    return Port(f"tap{number:08d}-aa", "tap", mac, instance(number))


def veth(number):
    peer = f"vif{number:08d}-aa"
    return replace(tap(number), kind="veth", peer=peer)


def plan(*ports, **fields):
    defaults = {"name": "br100", "network_uuid": NETWORK, "mac": MAC}
    defaults |= {"mtu": 1500, "address": "10.0.0.1/24", "ports": ports}
    return Plan("node1", bridges=(Bridge(**(defaults | fields)),))


NOTHING = Plan("node1")


def one_pass(wanted, shut=frozenset()):
    """What the applier does in a pass, firewall left out."""
    removed = remove_ports(wanted)
    applied = apply_bridges(wanted, shut=shut, unchanged=UnchangedPorts())
    return joined(removed, applied)


def apply(namespace, wanted, shut=frozenset()):
    return namespace.call(one_pass, wanted, shut)


def reach(namespace, wanted, shut=frozenset()):
    """Apply without a failure, then once more without a change."""
    first = apply(namespace, wanted, shut)
    assert first.failures == (), first.failures
    second = apply(namespace, wanted, shut)
    assert second == replace(Changes(), warnings=first.warnings), second
    return first


def failure(namespace, wanted):
    """The one failure of a plan, which must leave the host as it is."""
    before = state(namespace)
    changes = apply(namespace, wanted)
    assert changes.made == (), changes.made
    assert state(namespace) == before, "the host was changed"
    (only,) = changes.failures
    assert "\n" not in only.message
    return only


def links(namespace):
    found = namespace.json("ip -j -d link")
    return {link["ifname"]: link for link in found}


def addresses(namespace, device):
    (link,) = namespace.json(f"ip -j addr show dev {device}")
    return [
        f"{each['local']}/{each['prefixlen']}"
        for each in link["addr_info"]
        if each["scope"] == "global"
    ]


def state(namespace, *names):
    """Links and addresses as `ip` has them, without a bridge's clock."""
    found = namespace.json("ip -j -d addr")
    for link in found:
        link.get("linkinfo", {}).get("info_data", {}).pop("gc_timer", None)
    if names:
        found = [link for link in found if link.get("ifname") in names]
    return found


def uplink(namespace, name="eth1", mtu=1500):
    """An up veth as the host's card; `far` is the wire's other end."""
    namespace.run(
        f"ip link add {name} mtu {mtu} type veth peer name far{name}"
    )
    namespace.run(f"ip link set far{name} up")
