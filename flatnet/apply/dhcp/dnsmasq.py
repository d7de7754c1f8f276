"""What dnsmasq is told: its command line and its files, as pure text.

The privileged side takes no text on trust.  Every value is checked here
before it becomes part of a line, so that no plan, however it came about,
can make dnsmasq read another file or run a program.

The choices, and what taught them:

* `--interface` binds the DHCP socket to the bridge's device, so that with
  two networks on a host a renewal never reaches the other's dnsmasq.
  `--except-interface` takes back all of its addresses but the one that
  `--listen-address` names: link-local ones, and others' on the same bridge.
* `--bind-dynamic` looks at the device that a question came in by, and does
  not answer who merely routes to the bridge's address.
* `--dhcp-ignore-clid`: a guest is its MAC, which is unique here.  What it
  says of itself may be a clone's, or a lie about another.
* `--dhcp-ignore-names`: a guest is called what its row says, and not what it
  calls itself.
* `--dhcp-authoritative` with `--dhcp-ignore=tag:!known`: a guest that came
  here by migration keeps its lease, and on the segment that all hosts share
  nobody refuses the guests of another.
* No tag on a host's line: dnsmasq 2.90 dies of them when it reloads.  So each
  octet that a MAC can have is a tag, by a file that is read at the start, and
  who is told something else than the others is a guest with six of these, by
  a file of options that is read at each reload.
* What every guest is told, its router and the mtu, stands here and not in
  that file, which wins over the admin's own `dhcp-option`.
* `--log-async`: who reads its log may stop, and DHCP goes on.
* Names stand in a file of their own too, for dnsmasq resolves a name of the
  hosts file only once it has leased the address; those of guests of other
  hosts stand in a directory of files.
* `--all-servers`: whoever answers first is believed.  With one server after
  the other each name waits until the guest asks again, five seconds, while the
  first is silent; with dnsmasq's own choice the first names do after one has
  fallen silent, and `--fast-dns-retry` asks the silent one.  It costs as many
  questions as there are servers, and each of them hears all.
* `--rev-server` without a server, as `--local` of the domain: who is asked for
  an address of the network, or for a name in its domain, that is nobody's says
  so himself, and asks nobody.
"""

import ipaddress
import re
from dataclasses import replace
from functools import lru_cache

from flatnet.apply.dhcp import dnsmasq_ipv6
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import DhcpHost, DhcpServer, NamesSlice

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{0,253}")
# Questions that wait for a server.  A silent one holds each for ten seconds,
# so the usual 150 are soon gone; how many a guest may ask is limited before
# they come here.
_FORWARDED = 10000
# The most that it keeps while syslog does not read; else it would wait.
_LOG_LINES = 100
# Command lines: each pass asks for those of all bridges.
_REMEMBERED = 256
_DEVICE = re.compile(r"[^\s/,*:]{1,15}")


def path(networks_path: str, bridge: str, kind: str) -> str:
    """The path of a bridge's file; kind is `hosts`, `opts`, `pid`...

    :raises HostSetupError: the bridge's name could lead elsewhere
    """
    if not _DEVICE.fullmatch(bridge) or bridge in (".", ".."):
        raise HostSetupError(f"{bridge!r} is no name of a bridge")
    return f"{networks_path}/flatnet-{bridge}.{kind}"


def hosts_line(host: DhcpHost, domain: str) -> str:
    """The line of the static hosts file that says who somebody is.

    :raises HostSetupError: a value cannot stand there; so for `names_line`
    """
    suffix = f".{domain}" if domain else ""
    names = (name + suffix for name in _name(host))
    six = () if host.address_v6 is None else (f"[{_address_v6(host)}]",)
    return ",".join((_mac(host), *names, _address(host), *six)) + "\n"


def names_line(host: DhcpHost, _domain: str) -> str:
    """The line of an /etc/hosts file that names the same, if it has a name.

    The name is plain: dnsmasq answers for it with the domain too.
    """
    six = () if host.address_v6 is None else (_address_v6(host),)
    return "".join(
        f"{address} {name}\n"
        for name in _name(host)
        for address in (_address(host), *six)
    )


def options_line(host: DhcpHost, _domain: str) -> str:
    """The line of the options file that keeps a router from who has none."""
    if host.has_router:
        return ""
    octets = enumerate(_mac(host).split(":"))
    tags = ",".join(f"tag:{_tag(*each)}" for each in octets)
    return f"{tags},3\n"


def octets() -> str:
    """The text of the file by which each octet of a MAC is a tag."""
    lines = []
    for place in range(6):
        for value in range(256):
            mac = ["*"] * 6
            mac[place] = f"{value:02x}"
            tag = _tag(place, mac[place])
            lines.append(f"dhcp-mac=set:{tag},{':'.join(mac)}\n")
    return "".join(lines)


def _tag(place: int, octet: str) -> str:
    return f"flatnet{place}{octet}"


def elsewhere_text(names: NamesSlice, server: DhcpServer) -> str:
    """The text of a file that says what guests of other hosts are called.

    :raises HostSetupError: a value cannot stand there, or is no address of
        the network
    """
    served = [server.cidr, *([server.ipv6.cidr] if server.ipv6 else [])]
    ranges = [ipaddress.ip_network(each) for each in served]
    for address, name in names.names:
        if not _NAME.fullmatch(name):
            raise HostSetupError(f"{name!r} is no hostname")
        found = ipaddress.ip_address(address)
        if not any(found in each for each in ranges):
            raise HostSetupError(f"{address} is not of {' or '.join(served)}")
    return "".join(f"{address} {name}\n" for address, name in names.names)


def leases(text: str) -> list[tuple[str, str]]:
    """MAC and address of each lease in the text of a leases file.

    A line is: expiry, MAC, address, name, client id.  What is no such line
    is not ours to judge.
    """
    fields = (line.split() for line in text.splitlines())
    return [
        (each[1], each[2])
        for each in fields
        if len(each) == 5 and _MAC.fullmatch(each[1]) and _is_ip(each[2])
    ]


def arguments(
    server: DhcpServer, *, networks_path: str, config_file: str
) -> tuple[str, ...]:
    """The whole command line; an equal one need not be started again.

    :raises HostSetupError: a value cannot stand there; or ValueError
    """
    alone = replace(server, hosts=(), elsewhere=())
    return _arguments(alone, networks_path, config_file)


@lru_cache(_REMEMBERED)
def _arguments(
    server: DhcpServer, networks_path: str, config_file: str
) -> tuple[str, ...]:
    """The same, of which nothing depends on who is served."""
    network = ipaddress.IPv4Network(server.cidr)

    def file(kind: str) -> str:
        return path(networks_path, server.bridge, kind)

    return (
        "dnsmasq",
        f"--conf-file={config_file or '/dev/null'}",
        f"--conf-file={file('macs')}",
        f"--pid-file={file('pid')}",
        f"--interface={server.bridge}",
        "--bind-dynamic",
        f"--listen-address={ipaddress.IPv4Address(server.address)}",
        *dnsmasq_ipv6.listening(server),
        f"--dhcp-range={network.network_address},static,"
        f"{network.netmask},{int(server.lease_time)}s",
        dnsmasq_ipv6.most_leases(server, network.num_addresses),
        "--dhcp-authoritative",
        "--dhcp-ignore=tag:!known",
        "--dhcp-ignore-names",
        "--dhcp-ignore-clid",
        f"--dhcp-hostsfile={file('hosts')}",
        f"--dhcp-optsfile={file('opts')}",
        f"--dhcp-option=3,{ipaddress.IPv4Address(server.router)}",
        f"--dhcp-option=26,{int(server.mtu)}",
        f"--dhcp-leasefile={file('leases')}",
        "--no-ping",
        f"--log-async={_LOG_LINES}",
        "--no-hosts",
        *(f"--addn-hosts={file(kind)}" for kind in ("names", "elsewhere")),
        *_ours(server.domain, network),
        f"--dns-forward-max={_FORWARDED}",
        *_forwarders(server.servers),
        *dnsmasq_ipv6.arguments(server),
    )


def _ours(domain: str, network: ipaddress.IPv4Network) -> tuple[str, ...]:
    """What is answered here, also that there is no such name."""
    if not _DOMAIN.fullmatch(domain):
        raise HostSetupError(f"{domain!r} is no domain")
    reverse = ("--domain-needed", f"--rev-server={network}")
    if not domain:
        return reverse
    named = (f"--domain={domain}", "--expand-hosts", f"--local=/{domain}/")
    return (*reverse, *named)


def _forwarders(servers: tuple[str, ...]) -> tuple[str, ...]:
    if not servers:
        return ("--all-servers",)
    given = (f"--server={ipaddress.ip_address(each)}" for each in servers)
    return ("--no-resolv", "--all-servers", *given)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _mac(host: DhcpHost) -> str:
    if not _MAC.fullmatch(host.mac):
        raise HostSetupError(f"{host.mac!r} is no MAC address")
    return host.mac


def _address(host: DhcpHost) -> str:
    return str(ipaddress.IPv4Address(host.address))


def _address_v6(host: DhcpHost) -> str:
    return str(ipaddress.IPv6Address(host.address_v6 or ""))


def _name(host: DhcpHost) -> tuple[str, ...]:
    if host.name is None:
        return ()
    if not _NAME.fullmatch(host.name):
        raise HostSetupError(f"{host.name!r} is no hostname")
    return (host.name,)
