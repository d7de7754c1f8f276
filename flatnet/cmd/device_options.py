"""What the options say of this host's devices, held against the host.

At the start, and not when a network first needs it: whoever wrote a name
wrong is still there to read about it.
"""

import os
import socket
import struct
from dataclasses import replace

from oslo_config import cfg

from flatnet.config.conf import where
from flatnet.config.settings import Settings
from flatnet.exceptions import ConfigurationError

_NAME_LENGTH = 15
_EVERY_DEVICE = "all"
# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h; headers of a message
# and of an attribute, and struct ifinfomsg.
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_NLM_F_REQUEST, _RTM_NEWLINK, _RTM_GETLINK = 1, 16, 18
_IFLA_IFNAME, _IFLA_ALT_IFNAME = 3, 53
_MOST_BYTES = 1 << 16


def resolved(conf: cfg.ConfigOpts, settings: Settings) -> Settings:
    """Return the settings with each device under the name that it goes by.

    Linux gives a device more than one name (`ip link property`), but rules
    and bridges know it by the first only.

    :raises ConfigurationError: one line naming option, value and file, for
        what this host does not have and cannot do without
    """
    uplink = settings.flat_interface
    if uplink and not _exists(uplink):
        raise ConfigurationError(
            f"flat_interface = {uplink!r} in {where(conf, 'flat_interface')}: "
            "there is no such device on this host; create it, or name one "
            "that ip link shows"
        )
    file = settings.dnsmasq_config_file
    if file and not os.path.isfile(file):
        raise ConfigurationError(
            f"dnsmasq_config_file = {file!r} in "
            f"{where(conf, 'dnsmasq_config_file')}: there is no such file"
        )
    public = _named(conf, "public_interface", settings.public_interface)
    forward = tuple(
        _named(conf, "forward_bridge_interface", each)
        for each in settings.forward_bridge_interface
    )
    return replace(
        settings,
        flat_interface=_first_name(uplink),
        public_interface=public,
        forward_bridge_interface=forward,
    )


def missing(settings: Settings) -> tuple[str, ...]:
    """Return a line for each device that rules name and nobody has.

    It may come later, as that of a tunnel does: no reason not to start.
    """
    lines = []
    public = settings.public_interface
    if settings.dhcp and settings.routing_source_ip and not _exists(public):
        lines.append(
            f"public_interface = {public!r}: there is no such device, so no "
            "traffic to the outside gets source NAT; name the device of the "
            "default route, or leave routing_source_ip empty"
        )
    lines += [
        f"forward_bridge_interface = {each!r}: there is no such device, so "
        "bridges forward nothing to it"
        for each in settings.forward_bridge_interface
        if each != _EVERY_DEVICE and "+" not in each and not _exists(each)
    ]
    return tuple(lines)


def _named(conf: cfg.ConfigOpts, option: str, value: str) -> str:
    """The first name of a device, which must fit into a rule."""
    name = _first_name(value)
    if len(name.encode()) > _NAME_LENGTH:
        raise ConfigurationError(
            f"{option} = {value!r} in {where(conf, option)} is longer than "
            f"{_NAME_LENGTH} characters, and no device has it as another name"
        )
    return name


def _exists(name: str) -> bool:
    return bool(_index(name))


def _first_name(name: str) -> str:
    """The name that a device goes by; as it is where there is none."""
    index = _index(name)
    return socket.if_indextoname(index) if index else name


def _index(name: str) -> int:
    """The index of a device by any of its names, 0 for none.

    By netlink: what the C library asks takes no name of over 15 characters.
    """
    if not name:
        return 0
    text = name.encode() + b"\0"
    is_short = len(text) <= _NAME_LENGTH + 1
    kind = _IFLA_IFNAME if is_short else _IFLA_ALT_IFNAME
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(text), kind) + text
    body = bytes(_LINK.size) + attribute + bytes(-len(attribute) % 4)
    header = _HEADER.pack(
        _HEADER.size + len(body), _RTM_GETLINK, _NLM_F_REQUEST, 1, 0
    )
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.sendall(header + body)
        answer = kernel.recv(_MOST_BYTES)
    if _HEADER.unpack_from(answer)[1] != _RTM_NEWLINK:
        return 0
    index: int = _LINK.unpack_from(answer, _HEADER.size)[2]
    return index
