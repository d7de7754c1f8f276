"""Members of sets, as somebody reads them."""

import socket


def members(planned):
    """The members of a planned set as text, sorted."""
    return sorted(map(_text, planned.members))


def _text(member):
    size, family = (4, socket.AF_INET)
    if len(member) >= 16:
        size, family = (16, socket.AF_INET6)
    prefix = "".join(f"/{each}" for each in member[size:])
    return socket.inet_ntop(family, member[:size]) + prefix
