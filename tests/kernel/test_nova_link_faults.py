"""What nova-network did wrong on hosts to its end, on a real kernel."""

from bridged import failure, links, plan, reach, state, tap, uplink


def test_a_port_that_is_on_the_bridge_already_is_no_error(namespace):
    """nova knew that by a text of brctl's, which has another one now."""
    uplink(namespace)
    namespace.run("ip link add br100 type bridge")
    namespace.run("ip link set eth1 master br100")
    reach(namespace, plan(tap(1), uplink="eth1"))
    found = links(namespace)
    for port in ("eth1", "tap00000001-aa"):
        assert found[port]["master"] == "br100"


def test_routes_by_the_uplink_are_neither_moved_nor_lost(namespace):
    """nova moved them to the bridge, and failed where it took one away."""
    uplink(namespace)
    namespace.run("ip link set eth1 up")
    namespace.run("ip addr add 192.0.2.10/24 dev eth1")
    namespace.run("ip route add default via 192.0.2.1 metric 7")
    before = namespace.run("ip route show dev eth1"), state(namespace, "eth1")
    refused = failure(namespace, plan(uplink="eth1"))
    assert "uplink eth1 carries 192.0.2.10/24" in refused.message
    after = namespace.run("ip route show dev eth1"), state(namespace, "eth1")
    assert after == before
