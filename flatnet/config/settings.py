"""The options of a daemon as values, for layers that know no oslo.config."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The options as values, checked; one field per option.

    `dhcp` is true for FlatDHCPManager.  What each field means and its unit
    stand in the help texts of `flatnet.config.options`.
    """

    host: str
    my_ip: str = "127.0.0.1"
    state_path: str = "/var/lib/flatnet"
    networks_path: str = "/var/lib/flatnet/networks"
    manager_user: str = "flatnet"
    executor: str = "eventlet"
    rpc_error_module: str = "flatnet.exceptions"
    reconcile_interval: int = 60
    dhcp: bool = True
    flat_network_bridge: str = "br100"
    flat_interface: str = ""
    flat_injected: bool = False
    multi_host: bool = True
    vif_plug: str = "tap"
    tap_owner: str = "root"
    tap_group: str = "root"
    port_rate: int = 0
    create_unique_mac_address_attempts: int = 5
    send_arp_for_ha: bool = False
    send_arp_for_ha_count: int = 3
    address_quarantine: int = 600
    dhcp_domain: str = "novalocal"
    dhcp_lease_time: int = 86400
    dnsmasq_config_file: str = ""
    dns_server: tuple[str, ...] = ()
    use_network_dns_servers: bool = False
    force_dhcp_release: bool = True
    use_ipv6: bool = False
    allow_same_net_traffic: bool = True
    prevent_spoofing: bool = True
    foreign_ports: str = ""
    public_interface: str = "eth0"
    routing_source_ip: str = ""
    force_snat_range: tuple[str, ...] = ()
    dmz_cidr: tuple[str, ...] = ()
    forward_bridge_interface: tuple[str, ...] = ("all",)
    metadata_host: str = "127.0.0.1"
    metadata_port: int = 8775
    iptables_top_regex: str = ""
    iptables_bottom_regex: str = ""
    connection: str = "sqlite://"
