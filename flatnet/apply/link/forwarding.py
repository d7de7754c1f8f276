"""Devices that IPv4 is forwarded from, each of them and not only all.

What decides is the setting of the device that a packet came in by.
`net.ipv4.ip_forward` is set for all at once and reads 1 for ever, while
systemd-networkd, or an admin's sysctl.d, puts a single device back to 0: the
bridge's, and nothing of a guest leaves the host, or the uplink's, and no
answer comes back.  So each is read and set by its name, after the bridges
are made; one that is closed later is told by an event.

Nobody is shut for what cannot be set: a guest that is cut off from outside
is no danger to others, and still has its own network.

Given up: an outside that is reached by neither a named device nor a default
route.  Every device of the host would be too many: where the admin forbids
it on purpose it stays so, until he names it in forward_bridge_interface.
IPv6: this host routes none for guests, and to set it would make the host
itself deaf to its own router.
"""

from pathlib import Path

from flatnet.apply.files import read_setting, write_setting
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import HOST, Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.filtering import Forwarding
from flatnet.state.plan import (
    Plan,
)

_DEVICES = Path("/proc/sys/net/ipv4/conf")
# The main table, of the namespace of the task that opens it.
_ROUTES = Path("/proc/self/net/route")
_EVERYWHERE = "00000000"
# What looks like a device there and is none.
_TEMPLATES = frozenset({"all", "default"})


def apply_forwarding(plan: Plan) -> Changes:
    """Have the planned devices forward IPv4; those that are missing wait.

    Each failure is of the host: everybody's way out is cut.
    """
    made = []
    failures = []
    for device in closed(plan.forwarding):
        try:
            _open(device)
            made.append(Effect(Surface.FORWARDING, Verb.SET, device, "to 1"))
        except (OSError, HostSetupError) as error:
            text = getattr(error, "strerror", None) or str(error)
            failures.append(
                Failure(
                    Subject(Surface.FORWARDING, device),
                    "guests cannot reach the outside, for it cannot be set "
                    f"to 1: {text}",
                    key=HOST,
                )
            )
    return Changes(tuple(made), tuple(failures))


def left_closed(changes: Changes) -> frozenset[str]:
    """The devices that a pass could not open."""
    return frozenset(
        str(each.subject.key)
        for each in changes.failures
        if each.subject.surface is Surface.FORWARDING and each.subject.key
    )


def closed(wanted: Forwarding) -> tuple[str, ...]:
    """The devices that should forward and do not, sorted."""
    names = set(wanted.devices) - _TEMPLATES
    if wanted.default_routes:
        names |= _default_devices()
    return tuple(sorted(name for name in names if _value(name) == "0"))


def _open(device: str) -> None:
    write_setting(_DEVICES / device / "forwarding", "1")
    if _value(device) == "0":
        raise HostSetupError("1 was written, but it reads 0")


def _value(device: str) -> str:
    """Its setting, or nothing if there is no such device."""
    try:
        return read_setting(_DEVICES / device / "forwarding")
    except OSError:
        return ""


def _default_devices() -> set[str]:
    """The devices that a default route leads out by."""
    lines = read_setting(_ROUTES).splitlines()[1:]
    routes = [line.split() for line in lines]
    return {
        fields[0]
        for fields in routes
        if fields[1] == fields[7] == _EVERYWHERE and fields[0] != "*"
    }
