"""The device on a bridge that leads to one instance."""

from collections.abc import Iterable

from flatnet.config.settings import Settings
from flatnet.state.plan import Port
from flatnet.state.rows import ARRIVING, RATES, Interface

_ROOT = "root"
# With `tap` or `vif` before it the name has 14 of the 15 bytes that Linux
# allows, as nova's names had.
NAME_LENGTH = 11
_PREFIX = "tap"


def port(
    interface: Interface,
    settings: Settings,
    *,
    addresses: tuple[str, ...],
    wanted: str | None,
    plug: str | None,
    is_elsewhere: bool,
) -> Port:
    """Return the port of an interface.

    Its kind is what it was made as, whatever the option says.

    :param addresses: of its rows, those that can be used
    :param wanted: what was asked of this host for it, if anything
    :param plug: the kind that it was made as, if it was
    :param is_elsewhere: its guest is on another host by now
    """
    kind = plug or settings.vif_plug
    owner, group = _opener(settings) if kind == "tap" else (None, None)
    return Port(
        name=port_name(interface.uuid),
        kind=kind,
        mac=interface.mac.lower(),
        instance_uuid=interface.instance_uuid,
        addresses=addresses,
        peer=peer_name(interface.uuid) if kind == "veth" else None,
        owner=owner,
        group=group,
        stays=(
            _stays(interface, wanted, settings.host, is_elsewhere)
            if interface.is_plugged
            else "unplugged"
        ),
        rate=port_rate(interface, settings),
    )


def port_rate(interface: Interface, settings: Settings) -> int:
    """Return what an interface may send and take, in bit/s; 0 is anything.

    One that would be too slow or too fast to be counted is the slowest or the
    fastest that can be.
    """
    rate = interface.port_rate
    if rate is None:
        factor = interface.rxtx_factor
        rate = int(settings.port_rate * (1 if factor is None else factor))
    return min(max(rate, RATES[0]), RATES[-1]) if rate > 0 else 0


def port_name(vif_uuid: str) -> str:
    """Return the name of the device that leads to this interface."""
    return _PREFIX + vif_uuid[:NAME_LENGTH]


def with_ports(uuids: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return those interfaces whose devices have one of these names."""
    # A host has many interfaces, and nearly always one name is asked for.
    heads = {
        each.removeprefix(_PREFIX)
        for each in names
        if each.startswith(_PREFIX)
    }
    return [uuid for uuid in uuids if uuid[:NAME_LENGTH] in heads]


def peer_name(vif_uuid: str) -> str:
    """Return the name of the end of a veth pair that a container takes."""
    return "vif" + vif_uuid[:NAME_LENGTH]


def _stays(
    interface: Interface,
    wanted: str | None,
    host: str,
    is_elsewhere: bool,
) -> str:
    """What becomes of a port whose instance's row names another host.

    What was asked to be here is made.  What served here is kept for the guest
    that is still in it, until it runs on the other host.
    """
    if interface.host in (None, host):
        return "always"
    if wanted in (None, ARRIVING):
        return "always"
    return "shut" if is_elsewhere else "used"


def _opener(settings: Settings) -> tuple[str | None, str | None]:
    """The user and the group of a tap.

    The kernel wants an opener to match both where there are both, so root,
    whom nobody needs to name, counts only where no other is named.
    """
    owner = settings.tap_owner if settings.tap_owner != _ROOT else None
    group = settings.tap_group if settings.tap_group != _ROOT else None
    return (owner, group) if owner or group else (_ROOT, None)
