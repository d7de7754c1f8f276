"""What appliers say that they did, and to what, named as tests need it."""

from flatnet.state.effects import Effect, Subject, Surface, Verb

BRIDGE = Subject(Surface.BRIDGE, "br100")
DHCP = Subject(Surface.DHCP, "br100")
STARTED = Effect(Surface.DHCP, Verb.STARTED, "br100")
STOPPED = Effect(Surface.DHCP, Verb.STOPPED, "br100")
RELOADED = Effect(Surface.DHCP, Verb.RELOADED, "br100")


def cut(connections):
    """So many connections were cut."""
    detail = f"{connections} connections"
    return Effect(Surface.CONNTRACK, Verb.CUT, detail=detail)


def port(name):
    return Subject(Surface.PORT, name)


def released(address, mac):
    """A lease was taken back."""
    detail = f"{address} of {mac}"
    return Effect(Surface.DHCP, Verb.RELEASED, "br100", detail)


def was_set(name, value):
    """A setting was given a value."""
    return Effect(Surface.SYSCTL, Verb.SET, name, f"to {value}")


def opened(device):
    """A device was given to forward IPv4."""
    return Effect(Surface.FORWARDING, Verb.SET, device, "to 1")


def guard_set(name, detail):
    """Elements of a set of the guard came and went."""
    return Effect(Surface.GUARD, Verb.CHANGED, name, detail)


def chain(verb, name, detail=""):
    """Something was done to a chain of iptables' filter table."""
    key = "iptables", "filter", name
    return Effect(Surface.FIREWALL, verb, key, detail)


def ipset(verb, name):
    """Something was done to a set of addresses."""
    return Effect(Surface.IPSET, verb, name)
