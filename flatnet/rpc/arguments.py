"""The shapes in which callers send arguments, made one.

Compute services of many ages call: plain values, nova's objects as dicts,
and integer ids all arrive here and leave as text and tuples.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from flatnet.exceptions import InstanceNotFound, InvalidInput
from flatnet.state.requester import Requester
from flatnet.state.rows import RATES

_LARGEST_FACTOR = 1_000_000
Requested = tuple[tuple[str, str | None], ...]


def plain(value: Any) -> Any:
    """Return the data of a nova object in its dict form, or the value."""
    if isinstance(value, dict) and "nova_object.data" in value:
        return value["nova_object.data"]
    return value


def instance_reference(instance_id: Any, instance: Any = None) -> str:
    """Return the uuid, or integer id as text, that a call is about.

    :raises InstanceNotFound: the call names no instance
    """
    data = plain(instance)
    if isinstance(data, dict):
        instance_id = data.get("uuid") or data.get("id") or instance_id
    elif data:
        instance_id = data
    if not isinstance(instance_id, str | int) or instance_id == "":
        raise InstanceNotFound("the call names no instance_id")
    if not str(instance_id).isprintable():
        raise InstanceNotFound(f"no instance is named {instance_id!r}")
    return str(instance_id)


def reference(what: str, value: Any) -> str:
    """Return a name, or an integer as text, that a call has to give.

    :param what: the name of the argument
    :raises InvalidInput: it is neither, or no text that a row could hold
    """
    is_named = isinstance(value, str | int) and not isinstance(value, bool)
    if not is_named or value == "" or not str(value).isprintable():
        raise InvalidInput(f"the call names no {what}: {value!r}")
    return str(value)


def optional(what: str, value: Any) -> str | None:
    """Return the same of what a call need not give."""
    return None if value is None else reference(what, value)


def check_host(value: Any) -> None:
    """Check that the name of a host, if one is given, is text.

    :raises InvalidInput: it is not
    """
    if value is not None and not (
        isinstance(value, str) and value.isprintable()
    ):
        raise InvalidInput(f"the call names a host that is none: {value!r}")


def row_id(what: str, value: Any) -> int:
    """Return an integer id, given as one or as text.

    :raises InvalidInput: it is neither
    """
    text = reference(what, value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"{what} is no integer id: {value!r}")
    return int(text)


def requester(context: Any) -> Requester:
    """Return who calls, as far as the context says: or else nobody."""
    known = context if isinstance(context, dict) else {}
    project_id = known.get("project_id")
    return Requester(
        project_id=project_id if isinstance(project_id, str) else None,
        is_admin=known.get("is_admin") is True,
    )


def requested(networks: Any) -> Requested | None:
    """Return pairs of network uuid and address, or none for all networks.

    :raises InvalidInput: it is neither a list of pairs nor nova's list
    """
    networks = plain(networks)
    if isinstance(networks, dict):
        networks = networks.get("objects")
    if not networks:
        return None
    if not isinstance(networks, list | tuple):
        raise InvalidInput("requested_networks is not a list")
    return tuple(_pair(plain(each)) for each in networks)


def _pair(value: Any) -> tuple[str, str | None]:
    if isinstance(value, dict):
        network, address = value.get("network_id"), value.get("address")
    elif isinstance(value, list | tuple) and len(value) >= 2:
        network, address = value[0], value[1]
    else:
        raise InvalidInput(
            f"{value!r} in requested_networks is no pair of a network's "
            "uuid and an address or null"
        )
    if not isinstance(network, str) or not network:
        raise InvalidInput(f"{value!r} in requested_networks has no network")
    return (
        reference("network", network),
        reference("address", address) if address else None,
    )


def macs(value: Any) -> tuple[str, ...]:
    """Return the MAC addresses that a caller wants used, sorted."""
    if not value:
        return ()
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, str) for each in value
    ):
        raise InvalidInput("macs is not a list of MAC addresses")
    return tuple(value)


class Rates(TypedDict):
    """What the ports of an instance are to send and take; none: as before."""

    rxtx_factor: float | None
    port_rate: int | None


def rates(given: Mapping[str, Any]) -> Rates:
    """Return what a call says of rates.

    :raises InvalidInput: something that is none
    """
    return {
        "rxtx_factor": _rxtx_factor(given.get("rxtx_factor")),
        "port_rate": _port_rate(given.get("port_rate")),
    }


def _rxtx_factor(value: Any) -> float | None:
    """Return by what port_rate is multiplied for an instance, if it is given.

    :raises InvalidInput: it is no number above 0
    """
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= _LARGEST_FACTOR:
        raise InvalidInput(
            f"rxtx_factor {value!r} is no number above 0, up to "
            f"{_LARGEST_FACTOR}"
        )
    return float(value)


def _port_rate(value: Any) -> int | None:
    """Return what each port of an instance is held to, in bit/s, if given.

    :raises InvalidInput: it is neither 0, for no rate, nor one of `RATES`
    """
    if value is None:
        return None
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or (value != 0 and value not in RATES):
        raise InvalidInput(
            f"port_rate {value!r} is no rate in bit/s: 0 for none, or "
            f"{RATES[0]} to {RATES[-1]}"
        )
    return int(value)


def group_ids(value: Any) -> frozenset[int]:
    """Return the ids of the security groups that a hint is about.

    :raises InvalidInput: it is no list of ids
    """
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, int) for each in value
    ):
        raise InvalidInput("group_ids is not a list of ids")
    return frozenset(value)


def instance_uuids(value: Any) -> frozenset[str] | None:
    """Return the uuids of the instances that a hint names, or none.

    :raises InvalidInput: it is no list of uuids
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, str) for each in value
    ):
        raise InvalidInput("instance_ids is not a list of uuids")
    return frozenset(value)
