"""Kernel settings that the plan stands on, in the current namespace.

A rule that the kernel never asks is worse than none, so a value counts only
when it was read back.  Only the names below are ever written, whatever a
plan says.
"""

import contextlib
import re
from functools import lru_cache
from pathlib import Path

from flatnet.apply.command import run
from flatnet.apply.files import read_setting, write_setting
from flatnet.apply.link.router_trust import FORWARDING, keep_routers
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import HOST, Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan

# /proc/sys/net shows the namespace of the task that opens it.
DIRECTORY = Path("/proc/sys")
BRIDGE_NETFILTER = "net.bridge."
# The modules that settings come with.
MODULES = {
    BRIDGE_NETFILTER: "br_netfilter",
}
FIXED = re.compile(
    r"net\.ipv4\.ip_forward"
    r"|net\.ipv6\.conf\.all\.forwarding"
    r"|net\.bridge\.bridge-nf-call-(ip|ip6|arp)tables"
    r"|net\.bridge\.bridge-nf-filter-[a-z-]+"
)
_REMEMBERED = 1 << 6
_OF_DEVICE = re.compile(r"net\.ipv4\.conf\.(?P<device>.+)\.(?P<key>[a-z_]+)")


def apply_sysctls(plan: Plan) -> Changes:
    """Set the plan's kernel settings and read them back.

    A setting that cannot be had is a failure of the host: the filter might
    not see anybody's packets.
    """
    devices = frozenset(bridge.name for bridge in plan.bridges)
    made = []
    failures = []
    for name, value in plan.sysctls:
        try:
            file = path(name, devices)
            if name == FORWARDING and read_setting(file) != value:
                made += [set_to(*each) for each in keep_routers()]
            if _set(file, name, value):
                made.append(set_to(name, value))
        except (HostSetupError, OSError) as error:
            text = " ".join(str(error).split())
            subject = Subject(Surface.SYSCTL, name)
            failures.append(Failure(subject, text, key=HOST))
    return Changes(tuple(made), tuple(failures))


def setting_paths(plan: Plan) -> tuple[str, ...]:
    """The files of the plan's settings that there are."""
    devices = frozenset(bridge.name for bridge in plan.bridges)
    found = []
    for name, _ in plan.sysctls:
        with contextlib.suppress(HostSetupError):
            found.append(str(path(name, devices)))
    return tuple(found)


def set_to(name: str, value: str) -> Effect:
    """Return that a setting was given a value."""
    return Effect(Surface.SYSCTL, Verb.SET, name, f"to {value}")


def path(name: str, devices: frozenset[str]) -> Path:
    """Return the file of a setting; `devices` are those it may concern.

    :raises HostSetupError: the name is not one that flatnet sets
    """
    return DIRECTORY / _relative(name, devices)


# Asked for each second.
@lru_cache(_REMEMBERED)
def _relative(name: str, devices: frozenset[str]) -> Path:
    if FIXED.fullmatch(name):
        return Path(*name.split("."))
    match = _OF_DEVICE.fullmatch(name)
    if match and match["device"] in devices and "/" not in match["device"]:
        # A device's name may have dots of its own.
        return Path("net/ipv4/conf", match["device"], match["key"])
    raise HostSetupError("not a setting that flatnet may change")


def _set(file: Path, name: str, value: str) -> bool:
    """Return whether the setting had to be written."""
    try:
        found = read_setting(file)
    except FileNotFoundError:
        found = _read_once_loaded(file, name)
    if found == value:
        return False
    write_setting(file, value)
    actual = read_setting(file)
    if actual != value:
        raise HostSetupError(
            f"{value} was written, but it reads {actual or 'nothing'}"
        )
    return True


def _read_once_loaded(file: Path, name: str) -> str:
    """Return a setting that may come with a module.

    :raises HostSetupError: it does not
    """
    for prefix, module in MODULES.items():
        if name.startswith(prefix) and not file.exists():
            _load(module)
    try:
        return read_setting(file)
    except FileNotFoundError as error:
        raise HostSetupError(_missing(name)) from error


def _load(module: str) -> None:
    """Ask for the module; whether it came is seen by its files."""
    with contextlib.suppress(HostSetupError):
        run("modprobe", module)


def _missing(name: str) -> str:
    if name.startswith(BRIDGE_NETFILTER):
        return (
            "the kernel module br_netfilter is missing, without it no filter "
            "sees bridged packets: modprobe br_netfilter"
        )
    return "this kernel or namespace has no such setting"
