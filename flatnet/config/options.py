"""Every option with its help text.

Names and meanings are nova's where nova had the option.
"""

import socket

from oslo_config import cfg

from flatnet.config.filter_options import FIREWALL_OPTIONS
from flatnet.state.rows import RATES

FLAT_MANAGER = "flatnet.manager.FlatManager"
FLAT_DHCP_MANAGER = "flatnet.manager.FlatDHCPManager"
MANAGER_ALIASES = {
    "nova.network.manager.FlatManager": FLAT_MANAGER,
    "nova.network.manager.FlatDHCPManager": FLAT_DHCP_MANAGER,
}


def _outbound_address() -> str:
    """The address of this host that faces the default route.

    No packet is sent: connecting a datagram socket only asks the routes.
    """
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


HOST_OPTIONS = [
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this compute node. It must equal the text that the "
        "compute service writes to instances.host, and it is part of the "
        "RPC queue's name.",
    ),
    cfg.IPOpt(
        "my_ip",
        version=4,
        default=_outbound_address(),
        sample_default="<address towards the default route>",
        help="IPv4 address of this host; default of routing_source_ip and "
        "metadata_host.",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/flatnet",
        help="Directory for state that outlives the daemon.",
    ),
    cfg.StrOpt(
        "networks_path",
        default="$state_path/networks",
        help="Directory for the files that dnsmasq reads and writes. Only "
        "the privileged applier writes here.",
    ),
    cfg.StrOpt(
        "manager_user",
        default="flatnet",
        help="User that the daemon becomes once the privileged applier "
        "runs, without any capability. It must not be root. Empty: it keeps "
        "its user, for a daemon that was not started as root.",
    ),
    cfg.StrOpt(
        "executor",
        default="eventlet",
        choices=["eventlet", "threading"],
        help="How RPC requests run concurrently: in green threads of one "
        "thread (eventlet), or in threads of the system.",
    ),
    cfg.StrOpt(
        "rpc_error_module",
        default="flatnet.exceptions",
        help="Python module that callers know the classes of errors in. With "
        "nova.exception nova's services get their own, with "
        "control_exchange = nova.",
    ),
    cfg.IntOpt(
        "reconcile_interval",
        default=60,
        min=1,
        help="Seconds between passes that check the whole host against the "
        "database, whether or not anything asked for one.",
    ),
]

NETWORK_OPTIONS = [
    cfg.StrOpt(
        "network_manager",
        default=FLAT_DHCP_MANAGER,
        choices=[FLAT_MANAGER, FLAT_DHCP_MANAGER, *MANAGER_ALIASES],
        help="FlatManager attaches instances to the bridge and no more. "
        "FlatDHCPManager adds the bridge's address, dnsmasq and the "
        "gateway. nova's class paths are accepted.",
    ),
    cfg.StrOpt(
        "flat_network_bridge",
        default="br100",
        help="Bridge of networks that are created without a bridge.",
    ),
    cfg.StrOpt(
        "flat_interface",
        default="",
        help="Uplink: the device that is enslaved to flat_network_bridge, "
        "shared by all hosts of the flat network. Overrides "
        "networks.bridge_interface there; on another bridge it counts only "
        "where the network names no uplink. It must carry no address of its "
        "own.",
    ),
    cfg.BoolOpt(
        "flat_injected",
        default=False,
        help="Mark created networks as injected: the compute service is to "
        "write the network configuration into the image.",
    ),
    cfg.BoolOpt(
        "multi_host",
        default=True,
        help="Created networks have their gateway and DHCP server on every "
        "host. With False one host serves the guests of all, the first that "
        "finds a network: see `flatnet network set --host`.",
    ),
    cfg.StrOpt(
        "vif_plug",
        default="tap",
        choices=["tap", "veth", "external"],
        help="How instances are plugged: 'tap', a persistent tap that the "
        "hypervisor opens by name; 'veth', a pair whose free end a container "
        "takes; 'external', the hypervisor attaches a device of its own.",
    ),
    cfg.StrOpt(
        "tap_owner",
        default="root",
        help="User who may open the taps of instances, beside root: that of "
        "an unprivileged hypervisor. Taps that exist are changed once "
        "nobody holds them open.",
    ),
    cfg.StrOpt(
        "tap_group",
        default="root",
        help="Group whose members may open the taps of instances. With a "
        "tap_owner other than root both are asked for: it must be that user, "
        "in that group. root: no group is asked for.",
    ),
    cfg.IntOpt(
        "port_rate",
        default=0,
        min=0,
        max=RATES[-1],
        help="What each port of an instance may send, and take, in bit/s of "
        "IP packets; the rxtx_factor of its allocation multiplies it, and a "
        f"port_rate given there is taken instead. From {RATES[0]} on; 0: as "
        "much as it can. It needs the kernel's tbf, ifb, u32 and mirred.",
    ),
    cfg.IntOpt(
        "create_unique_mac_address_attempts",
        default=5,
        min=1,
        help="How often a new random MAC address is tried.",
    ),
    cfg.BoolOpt(
        "send_arp_for_ha",
        default=False,
        help="Announce a bridge's address to its segment when it is set. That "
        "of a network that one host serves for all, and floating addresses, "
        "are announced in any case.",
    ),
    cfg.IntOpt(
        "send_arp_for_ha_count",
        default=3,
        min=1,
        max=100,
        help="How often it is announced then, twenty times a second.",
    ),
    cfg.IntOpt(
        "address_quarantine",
        # nova's, of the same default: an address whose instance went.
        deprecated_name="fixed_ip_disassociate_timeout",
        default=600,
        min=0,
        help="Seconds before a released address is given out again. "
        "Addresses that were never used are given out first.",
    ),
]

DHCP_OPTIONS = [
    cfg.StrOpt(
        "dhcp_domain",
        default="novalocal",
        regex=r"^([a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9])?"
        r"(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9])?)*)?$",
        help="Domain of instance names. Empty: names have no domain.",
    ),
    cfg.IntOpt(
        "dhcp_lease_time",
        default=86400,
        min=120,
        help="Lifetime of a DHCP lease in seconds.",
    ),
    cfg.StrOpt(
        "dnsmasq_config_file",
        default="",
        help="Further configuration file for dnsmasq; what it says wins. An "
        "edit is checked (dnsmasq --test) and applied by the next pass; until "
        "it is sound what was read before stays in force. Edits of files that "
        "it names are not noticed. Empty: none, not even the system's.",
    ),
    cfg.MultiStrOpt(
        "dns_server",
        default=[],
        help="Name server that dnsmasq forwards to; may be given more than "
        "once. None: those of the host's resolv.conf. Of several all are "
        "asked and the first answer counts, so that they should know the "
        "same.",
    ),
    cfg.BoolOpt(
        "use_network_dns_servers",
        default=False,
        help="Forward also to dns1 and dns2 of the network.",
    ),
    cfg.BoolOpt(
        "use_ipv6",
        default=False,
        help="Networks that have a cidr_v6 are dual stack: each interface has "
        "the address there that its MAC makes (EUI-64), and each host is the "
        "router of its guests, by router advertisements and DHCPv6, but for "
        "networks that one host serves for all. Needs "
        "net.ipv6.conf.all.forwarding, and accept_ra = 2 on devices by which "
        "the host has its own router; both are set.",
    ),
    cfg.BoolOpt(
        "force_dhcp_release",
        default=True,
        help="Release the DHCP lease of a deallocated address at once.",
    ),
]

DATABASE_OPTIONS = [
    cfg.StrOpt(
        "connection",
        default="sqlite:///$state_path/flatnet.sqlite",
        secret=True,
        help="SQLAlchemy URL of the database: sqlite, mysql (MariaDB or "
        "MySQL, through PyMySQL) or postgresql (through psycopg2).",
    ),
]

DEFAULT_OPTIONS = (
    HOST_OPTIONS + NETWORK_OPTIONS + DHCP_OPTIONS + FIREWALL_OPTIONS
)
