"""What a guest's DHCP client was given, and the script that notes it.

Both kinds of guests run busybox udhcpc with the same script.  It applies the
lease to the guest, and writes what it was given to two files in the
directory that the variable FILES names: `resolv.conf`, and `lease` with all
options as the client passed them.
"""

from dataclasses import dataclass

# These are not asked for by default.
CLIENT_OPTIONS = ("-O", "mtu", "-O", "search")

SCRIPT = """\
#!/bin/sh
# What udhcpc calls with its event; the options come as variables.
set -e
case "$1" in
deconfig)
    ip -4 addr flush dev "$interface" scope global
    ip link set "$interface" up
    ;;
bound | renew)
    ip -4 addr flush dev "$interface" scope global
    ip addr add "$ip/$mask" dev "$interface"
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    for gateway in $router; do
        ip route replace default via "$gateway" dev "$interface"
        break
    done
    {
        [ -z "$search$domain" ] || echo "search ${search:-$domain}"
        for server in $dns; do echo "nameserver $server"; done
    } > "$FILES/resolv.conf"
    env -0 > "$FILES/lease.new"
    mv "$FILES/lease.new" "$FILES/lease"
    ;;
esac
"""


@dataclass(frozen=True)
class Lease:
    """Addresses as text, `lease_time` in seconds, `mtu` in bytes or 0.

    `options` are all that the client got, by udhcpc's names.
    """

    address: str
    prefix_length: int
    router: str = ""
    server: str = ""
    mtu: int = 0
    lease_time: int = 0
    dns: tuple[str, ...] = ()
    hostname: str = ""
    domain: str = ""
    options: tuple[tuple[str, str], ...] = ()


def lease_of(text: str) -> Lease:
    """Read the file `lease`: NAME=VALUE fields, each ended by a zero."""
    options = dict(
        field.split("=", 1) for field in text.split("\0") if "=" in field
    )
    return Lease(
        address=options["ip"],
        prefix_length=int(options["mask"]),
        router=options.get("router", ""),
        server=options.get("serverid", ""),
        mtu=int(options.get("mtu", "0")),
        lease_time=int(options.get("lease", "0")),
        dns=tuple(options.get("dns", "").split()),
        hostname=options.get("hostname", ""),
        domain=options.get("domain", ""),
        # udhcpc's names are in small letters, the rest is environment.
        options=tuple(
            (name, value)
            for name, value in sorted(options.items())
            if name.islower()
        ),
    )
