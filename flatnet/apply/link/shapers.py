"""The devices that queue what comes from guests: one for each rated port.

They bear a mark of their own, for they are no ports: nothing is behind them,
and what they are given they give back to the port that it came in by.
"""

from flatnet.apply.link.link import Link
from flatnet.apply.link.links import LinkPass, disable_ipv6
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Port

_KIND = "ifb"
_MARK = "flatnet rate of "


def shaper_name(port: str) -> str:
    """Return the name of a port's shaper."""
    return _KIND + port.removeprefix("tap")[:12]


def is_of_ours(link: Link) -> bool:
    """Whether a device is a shaper that we made."""
    return link.kind == _KIND and link.alias.startswith(_MARK)


def port_of(link: Link) -> str | None:
    """Return the name of the port that a shaper of ours is for."""
    return link.alias.removeprefix(_MARK) if is_of_ours(link) else None


def made(host: LinkPass, port: Port) -> Link:
    """Return a port's shaper, which is up; it is made where there is none.

    :raises HostSetupError: its name is somebody else's, or the kernel has
        no such devices
    """
    name, mark = shaper_name(port.name), _MARK + port.name
    link = host.links.get(name)
    if link is None:
        try:
            host.netlink.link("add", ifname=name, kind=_KIND)
        except Exception as error:
            raise HostSetupError(
                f"this kernel makes no device {_KIND} (ifb), by which a "
                f"guest's rate is kept: {error}"
            ) from error
        host.made.append(Effect(Surface.PORT, Verb.MADE, name))
        link = host.reread(name)
    elif not is_of_ours(link) and not _is_unfinished(link):
        raise HostSetupError(
            f"device {name} exists and is not flatnet's: remove or rename it"
        )
    if link.ipv6:
        disable_ipv6(link)
    if link.alias != mark:
        link = host.write(link, ifalias=mark)
    if not link.up:
        link = host.write(link, state="up")
        host.made.append(Effect(Surface.PORT, Verb.UP, name))
    return link


def gone(host: LinkPass, name: str) -> None:
    """Remove a shaper, if it is one of ours."""
    link = host.links.get(name)
    if link is not None and is_of_ours(link):
        host.delete(link)
        host.made.append(Effect(Surface.PORT, Verb.REMOVED, name))


def _is_unfinished(link: Link) -> bool:
    """Whether it is how far a crash left one that we made."""
    return link.kind == _KIND and not (link.alias or link.master or link.up)
