"""The floating addresses of an interface, where its guest is.

One host has them at a time, and all hosts agree which by the same rows: that
on which the guest was found, or where it was found on none or on both, that
which the instance's row names.
"""

from ipaddress import IPv4Address

from flatnet.config.settings import Settings
from flatnet.plan.port import port_name
from flatnet.state.filtering import FloatingAddress
from flatnet.state.rows import DEVICE_NAME, FloatingIp, Interface


def floating(
    interface: Interface,
    settings: Settings,
    *,
    is_found: bool,
    is_elsewhere: bool,
    is_routed: bool,
) -> tuple[tuple[FloatingAddress, ...], tuple[str, ...]]:
    """Return the floating addresses that this host translates, and lines.

    The lines are about rows that cannot be put into effect.

    :param is_found: its guest was found on this host
    :param is_elsewhere: and on another one
    :param is_routed: this host is the gateway of its network
    """
    if not interface.floating or not _is_here(
        interface, settings.host, is_found, is_elsewhere
    ):
        return (), ()
    found, lines = [], []
    for each in interface.floating:
        device = each.device or settings.public_interface
        fault = _fault(each, interface, device, is_routed=is_routed)
        if fault:
            lines.append(
                f"instance {interface.instance_uuid}: floating address "
                f"{each.address!r} is left out: {fault}"
            )
            continue
        found.append(_translated(each, interface, device))
    return tuple(found), tuple(lines)


def _translated(
    row: FloatingIp, interface: Interface, device: str
) -> FloatingAddress:
    return FloatingAddress(
        address=row.address,
        fixed=row.fixed,
        device=device,
        port=port_name(interface.uuid),
        uuid=interface.uuid,
        instance_uuid=interface.instance_uuid,
    )


def _is_here(
    interface: Interface, host: str, is_found: bool, is_elsewhere: bool
) -> bool:
    if interface.host in (None, host):
        return is_found or not is_elsewhere
    return is_found and not is_elsewhere


def _fault(
    row: FloatingIp, interface: Interface, device: str, *, is_routed: bool
) -> str:
    if not is_routed:
        return "this host is no gateway of its network"
    if not _is_ipv4(row.address):
        return "it is no IPv4 address"
    if row.fixed not in interface.addresses or not _is_ipv4(row.fixed):
        return f"{row.fixed!r} is no address that its port may use"
    if not DEVICE_NAME.fullmatch(device):
        return f"{device!r} is no name of a device (public_interface)"
    return ""


def _is_ipv4(text: str) -> bool:
    try:
        return str(IPv4Address(text)) == text
    except ValueError:
        return False
