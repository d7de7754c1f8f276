"""The address of the metadata service, for guests that ask for it by ARP.

Nearly all guests send what is for it to their gateway.  One with a zeroconf
route (169.254.0.0/16 on its link) asks who has it, and its host answers: the
address is on the loopback device, as nova had it, with the scope of a link.
From there rules lead on, as for all other guests; that only the guests of this
host are answered is the guard's affair.

Where the host has the address for something else, or a route to it alone, as
machines in a cloud are given one to their own metadata service, it is left as
it is: guests then reach the service by their gateway.
"""

from flatnet.apply.files import read_setting
from flatnet.apply.link.conflicts import Surroundings, led_to
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.link import ADDRESS_ORIGIN, SCOPE_LINK
from flatnet.apply.link.links import ERRORS, link_pass, reason
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import METADATA, Plan

_DEVICE = "lo"
# Where it is put: the device, and the address with its prefix.
PLACE = (_DEVICE, f"{METADATA}/32")
_ARP_IGNORE = "/proc/sys/net/ipv4/conf/{}/arp_ignore"


def apply_metadata_address(plan: Plan, devices: Reads = DUMP) -> Changes:
    """Have the address where guests need it and nobody else has it.

    Who takes it away that is not to be there any more is `stale_ports`.
    """
    if not plan.has_metadata:
        return Changes()
    warnings = _unanswered(plan)
    if any(each.ip == METADATA for each in devices.addresses()):
        return Changes(warnings=warnings)
    try:
        way = led_to(METADATA, bridge=_DEVICE, around=Surroundings.read())
        if way:
            return Changes(
                warnings=(
                    f"{way} of this host leads to {METADATA}, which is not "
                    "taken: guests reach the metadata service by their "
                    "gateway, but not by a zeroconf route",
                )
            )
        with link_pass(devices) as found:
            found.netlink.addr(
                "add",
                index=found.links[_DEVICE].index,
                address=METADATA,
                prefixlen=32,
                scope=SCOPE_LINK,
                proto=ADDRESS_ORIGIN,
            )
    except ERRORS as error:
        subject = Subject(Surface.BRIDGE, _DEVICE)
        return Changes(failures=(Failure(subject, reason(error)),))
    text = f"address {METADATA}/32"
    return Changes(
        (Effect(Surface.BRIDGE, Verb.ADDED, _DEVICE, text),),
        warnings=warnings,
    )


def _unanswered(plan: Plan) -> tuple[str, ...]:
    """A line where the host answers on no device for what another has."""
    names = [each.name for each in plan.bridges if each.address]
    for name in ("all", *names):
        try:
            ignored = int(read_setting(_ARP_IGNORE.format(name)) or 0)
        except (OSError, ValueError):
            continue
        if ignored:
            return (
                f"net.ipv4.conf.{name}.arp_ignore is {ignored}, so that "
                "guests with a zeroconf route do not reach the metadata "
                "service: set it to 0",
            )
    return ()
