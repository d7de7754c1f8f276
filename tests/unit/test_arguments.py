"""The shapes in which callers of all ages send arguments."""

import pytest

from flatnet.exceptions import InstanceNotFound, InvalidInput
from flatnet.rpc import arguments


def nova_object(name, **data):
    return {
        "nova_object.name": name,
        "nova_object.namespace": "nova",
        "nova_object.version": "1.1",
        "nova_object.data": data,
        "nova_object.changes": [],
    }


def test_pairs_stay_pairs():
    networks = [["net-a", "10.0.0.9"], ["net-b", None]]
    assert arguments.requested(networks) == (
        ("net-a", "10.0.0.9"),
        ("net-b", None),
    )


def test_a_network_request_list_becomes_pairs():
    request = nova_object(
        "NetworkRequest", network_id="net-a", address="10.0.0.9"
    )
    networks = nova_object("NetworkRequestList", objects=[request])
    assert arguments.requested(networks) == (("net-a", "10.0.0.9"),)


@pytest.mark.parametrize("nothing", [None, [], {"objects": []}])
def test_nothing_means_all_networks(nothing):
    assert arguments.requested(nothing) is None


@pytest.mark.parametrize("rubbish", ["text", 7, ["x"], [[None, None]], [7]])
def test_rubbish_is_refused_by_name(rubbish):
    with pytest.raises(InvalidInput):
        arguments.requested(rubbish)


def test_an_instance_is_named_by_uuid_id_or_object():
    instance = nova_object("Instance", uuid="u-1", id=7, host="node1")
    assert arguments.instance_reference(None, instance) == "u-1"
    assert arguments.instance_reference(7) == "7"
    assert arguments.instance_reference("u-2") == "u-2"


def test_a_network_is_named_by_uuid_or_id():
    assert arguments.reference("network_id", "u-1") == "u-1"
    assert arguments.reference("network_id", 7) == "7"


@pytest.mark.parametrize(
    "rubbish", [None, "", [], {}, 1.5, True, "a\0b", "\ud800", "a\nb"]
)
def test_what_a_call_has_to_name_is_missed_by_name(rubbish):
    with pytest.raises(InvalidInput, match="no network_id"):
        arguments.reference("network_id", rubbish)


@pytest.mark.parametrize("nobody", [None, "", [], 1.5])
def test_a_call_about_nobody_is_refused(nobody):
    with pytest.raises(InstanceNotFound):
        arguments.instance_reference(nobody)


def test_hints_may_name_instances():
    assert arguments.instance_uuids(None) is None
    assert arguments.instance_uuids(["a", "b"]) == frozenset(("a", "b"))
    for wrong in ("a", 1, [1], {"a": 1}):
        with pytest.raises(InvalidInput, match="instance_ids"):
            arguments.instance_uuids(wrong)


def test_a_rate_is_a_factor_or_bits_a_second():
    given = {"rxtx_factor": 2, "port_rate": 0, "vpn": False}
    assert arguments.rates(given) == {"rxtx_factor": 2.0, "port_rate": 0}
    assert arguments.rates({}) == {"rxtx_factor": None, "port_rate": None}


@pytest.mark.parametrize(
    "rubbish",
    [
        *({"rxtx_factor": each} for each in (0, -1, "1", True, float("nan"))),
        {"rxtx_factor": float("inf")},
        *({"port_rate": each} for each in (-1, 7, 1.5, "10M", True, 1 << 63)),
    ],
)
def test_a_rate_that_is_none_is_refused(rubbish):
    with pytest.raises(InvalidInput, match=next(iter(rubbish))):
        arguments.rates(rubbish)
