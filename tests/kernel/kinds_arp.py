"""Kinds of ARP frames, as `frame_kinds` says."""

from functools import partial

from frames import ARP, BROADCAST, arp, ether


def of_arp(sender, target, other):
    says = partial(_frame, sender, asked=target.ip)
    return {
        "arp request": says((1, sender.mac, sender.ip)),
        "arp reply": says((2, sender.mac, sender.ip), to=target.mac),
        "arp probe": says((1, sender.mac, "0.0.0.0"), asked=sender.ip),
        "arp probe for target's ip": says((1, sender.mac, "0.0.0.0")),
        "arp probe for other's ip": says(
            (1, sender.mac, "0.0.0.0"), asked=other.ip
        ),
        "arp reply from nowhere": says((2, sender.mac, "0.0.0.0")),
        "arp of other's ip": says((1, sender.mac, other.ip)),
        "arp reply of other's ip": says(
            (2, sender.mac, other.ip), to=target.mac
        ),
        "arp of target's ip": says((2, sender.mac, target.ip)),
        "arp of other's mac": says((1, other.mac, sender.ip)),
        "arp of other": says((2, other.mac, other.ip)),
        "arp by other": says((2, other.mac, other.ip), mac=other.mac),
        "arp odd lengths": says((1, sender.mac, sender.ip), lengths=(8, 4)),
        "arp rarp operation": says((3, sender.mac, sender.ip)),
        "arp truncated": lambda mark: ether(
            BROADCAST,
            sender.mac,
            ARP,
            arp(1, sender.mac, other.ip, asked=target.ip)[:12] + mark,
        )[:34],
    }


def _frame(sender, claim, *, to=BROADCAST, mac=None, **fields):
    """What sends a claim: its operation, MAC and address, as `arp` has it."""
    return lambda mark: ether(
        to, mac or sender.mac, ARP, arp(*claim, extra=mark, **fields)
    )
