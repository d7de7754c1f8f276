"""The options of what is filtered, and of the way to the outside."""

from oslo_config import cfg

FIREWALL_OPTIONS = [
    cfg.BoolOpt(
        "allow_same_net_traffic",
        default=True,
        help="Whether instances of one network reach each other freely. "
        "With False no traffic passes between instances, same tenant or "
        "not, unless a security group unblocks it.",
    ),
    cfg.BoolOpt(
        "prevent_spoofing",
        default=True,
        help="Let an instance send only with its own MAC and addresses, and "
        "never as a DHCP server or router.",
    ),
    cfg.StrOpt(
        "foreign_ports",
        default="",
        choices=["", "closed", "uplink"],
        help="What a port of a flat bridge is that is neither an instance's "
        "planned port nor flat_interface: 'closed', it passes nothing; "
        "'uplink', it leads to the segment and is guarded like "
        "flat_interface. Empty: closed on a bridge that flatnet made, uplink "
        "on a bridge that was there before. With vif_plug = external the "
        "device must bear the name that NetworkInfo has as devname: under "
        "any other name it is a foreign port.",
    ),
    cfg.StrOpt(
        "public_interface",
        default="eth0",
        help="Device that traffic to the outside leaves by, and that has the "
        "floating addresses of pools without a device of their own.",
    ),
    cfg.StrOpt(
        "routing_source_ip",
        default="$my_ip",
        help="Address that traffic to the outside gets as its source. "
        "Empty: no source NAT.",
    ),
    cfg.MultiStrOpt(
        "force_snat_range",
        default=[],
        help="Destination range (cidr) that traffic gets source NAT for in "
        "a network that has an external gateway; may be given more than "
        "once.",
    ),
    cfg.ListOpt(
        "dmz_cidr",
        default=[],
        help="Destination ranges (cidr) that are reached without source NAT.",
    ),
    cfg.MultiStrOpt(
        "forward_bridge_interface",
        default=["all"],
        help="Device that bridges may forward to; may be given more than "
        "once. 'all' means every device.",
    ),
    cfg.StrOpt(
        "metadata_host",
        default="$my_ip",
        help="Address of the metadata service, which guests reach as "
        "169.254.169.254 port 80.",
    ),
    cfg.PortOpt(
        "metadata_port",
        default=8775,
        min=1,
        help="Port of the metadata service.",
    ),
    cfg.StrOpt(
        "iptables_top_regex",
        default="",
        help="Foreign iptables rules that match stay above flatnet's, "
        "wherever they stand: flatnet's come right after the last of them, "
        "and so after what else stands before it, of which there is a "
        "warning. With any, guests are open for the moment until flatnet's "
        "rules are back that somebody has flushed.",
    ),
    cfg.StrOpt(
        "iptables_bottom_regex",
        default="",
        help="Foreign iptables rules that match stay below flatnet's, with "
        "all that comes after them, also where iptables_top_regex matches. "
        "Others are below anyway; no foreign rule is moved.",
    ),
]
