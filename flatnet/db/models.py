"""The tables, with nova's names and columns where nova had them.

The constraints are the judges: whatever runs in parallel, on whatever
host, two rows never hold one address, one MAC or one host's bridge.
Addresses are text, as operators expect them; `position` is the same address
as an offset in the network's cidr, which sorts and compares as a number.
"""

from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem

from flatnet.db.clock import Now

metadata = MetaData()
AnyRow: TypeAlias = Row[*tuple[Any, ...]]

Timestamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Name = String(255)
Uuid = String(36)
Address = String(39)


def _table(name: str, *contents: SchemaItem) -> Table:
    """A table of flatnet's with the columns that all of them have."""
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("created_at", Timestamp, default=Now()),
        Column("updated_at", Timestamp, default=Now(), onupdate=Now()),
        *contents,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        # Names differ by case on SQLite and PostgreSQL; so they do here.
        mysql_collate="utf8mb4_bin",
    )


# Owned and written by the compute service; only made where there is none.
instances = _table(
    "instances",
    Column("deleted_at", Timestamp),
    Column("deleted", Integer, nullable=False, server_default=text("0")),
    Column("uuid", Uuid, nullable=False),
    Column("hostname", Name),
    Column("host", Name),
    Column("project_id", Name),
    UniqueConstraint("uuid", name="uniq_instances0uuid"),
    Index("instances_host_deleted_idx", "host", "deleted"),
    Index("instances_hostname_idx", "hostname"),
)

# Addresses pool_first..pool_last are given out; from next_position on they
# were not, but for those that have a row already.
networks = _table(
    "networks",
    Column("uuid", Uuid, nullable=False),
    Column("label", Name, nullable=False),
    Column("cidr", Address, nullable=False),
    Column("cidr_v6", String(43)),
    Column("bridge", String(15), nullable=False),
    Column("bridge_interface", String(15)),
    Column("gateway", Address),
    Column("broadcast", Address),
    Column("netmask", Address),
    Column("dns1", Address),
    Column("dns2", Address),
    Column("dhcp_start", Address),
    Column("dhcp_server", Address),
    Column("multi_host", Boolean, nullable=False, server_default=true()),
    Column("enable_dhcp", Boolean, nullable=False, server_default=true()),
    Column("mtu", Integer),
    Column("injected", Boolean, nullable=False, server_default=false()),
    Column("project_id", Name),
    Column("host", Name),
    Column("gateway_v6", Address),
    Column("server_mac", String(17)),
    Column("pool_first", BigInteger, nullable=False),
    Column("pool_last", BigInteger, nullable=False),
    Column("next_position", BigInteger, nullable=False),
    UniqueConstraint("uuid", name="uniq_networks0uuid"),
    UniqueConstraint("cidr", name="uniq_networks0cidr"),
    Index("networks_label_idx", "label"),
    Index("networks_bridge_idx", "bridge"),
)

# An instance has as many on a network as were asked for; its oldest of all is
# the one with the default route.  Who is not plugged has no port anywhere.
virtual_interfaces = _table(
    "virtual_interfaces",
    Column("uuid", Uuid, nullable=False),
    Column("address", String(17), nullable=False),
    Column(
        "network_id",
        Integer,
        ForeignKey("networks.id", name="virtual_interfaces_network_id_fkey"),
        nullable=False,
    ),
    Column("instance_uuid", Uuid, nullable=False),
    # What it may send and take: a factor of the option port_rate, or bit/s.
    Column("rxtx_factor", Double),
    Column("port_rate", BigInteger),
    Column("plugged", Boolean, nullable=False, server_default=true()),
    UniqueConstraint("uuid", name="uniq_virtual_interfaces0uuid"),
    UniqueConstraint("address", name="uniq_virtual_interfaces0address"),
    Index("virtual_interfaces_instance_uuid_idx", "instance_uuid"),
    Index("virtual_interfaces_network_id_idx", "network_id"),
)

# Of IPv6 an interface has at most one row, at a negative position, where no
# pool looks, and of the highest ordinal: see `ipv6_rows`.
# A row is an instance's (instance_uuid), a host's bridge's (host), set aside
# (reserved, and why) or, with none of these, was released at updated_at.  Of
# an interface's addresses the one with the lowest ordinal is leased.
fixed_ips = _table(
    "fixed_ips",
    Column("address", Address, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column(
        "network_id",
        Integer,
        ForeignKey("networks.id", name="fixed_ips_network_id_fkey"),
        nullable=False,
    ),
    Column(
        "virtual_interface_id",
        Integer,
        ForeignKey(
            "virtual_interfaces.id", name="fixed_ips_virtual_interface_id_fkey"
        ),
    ),
    Column("instance_uuid", Uuid),
    Column("allocated", Boolean, nullable=False, server_default=false()),
    Column("leased", Boolean, nullable=False, server_default=false()),
    Column("reserved", Boolean, nullable=False, server_default=false()),
    Column("host", Name),
    Column("reason", Name),
    Column("ordinal", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint(
        "network_id", "address", name="uniq_fixed_ips0network_id0address"
    ),
    UniqueConstraint(
        "network_id", "position", name="uniq_fixed_ips0network_id0position"
    ),
    UniqueConstraint(
        "network_id", "host", name="uniq_fixed_ips0network_id0host"
    ),
    Index("fixed_ips_virtual_interface_id_idx", "virtual_interface_id"),
    Index("fixed_ips_instance_uuid_idx", "instance_uuid"),
    Index("fixed_ips_host_idx", "host"),
    Index("fixed_ips_address_idx", "address"),
    Index("fixed_ips_network_id_updated_at_idx", "network_id", "updated_at"),
)

# `position` is the address as a number.  One of nobody has no project; whose
# `fixed_ip_id` is set leads to that address, on the `host` that last had it.
floating_ips = _table(
    "floating_ips",
    Column("address", Address, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column(
        "fixed_ip_id",
        Integer,
        ForeignKey("fixed_ips.id", name="floating_ips_fixed_ip_id_fkey"),
    ),
    Column("project_id", Name),
    Column("host", Name),
    Column("auto_assigned", Boolean, nullable=False, server_default=false()),
    Column("pool", Name, nullable=False),
    Column("interface", String(15)),
    UniqueConstraint("address", name="uniq_floating_ips0address"),
    Index("floating_ips_fixed_ip_id_idx", "fixed_ip_id"),
    Index("floating_ips_project_id_idx", "project_id"),
    Index("floating_ips_pool_project_id_idx", "pool", "project_id"),
    Index("floating_ips_position_idx", "position"),
)

security_groups = _table(
    "security_groups",
    Column("name", Name, nullable=False),
    Column("description", Name),
    Column("project_id", Name),
    UniqueConstraint(
        "project_id", "name", name="uniq_security_groups0project_id0name"
    ),
)

security_group_rules = _table(
    "security_group_rules",
    Column(
        "parent_group_id",
        Integer,
        ForeignKey(
            "security_groups.id",
            name="security_group_rules_parent_group_id_fkey",
        ),
        nullable=False,
    ),
    Column("protocol", String(16)),
    Column("from_port", Integer),
    Column("to_port", Integer),
    Column("cidr", String(43)),
    Column(
        "group_id",
        Integer,
        ForeignKey(
            "security_groups.id", name="security_group_rules_group_id_fkey"
        ),
    ),
    Index("security_group_rules_parent_group_id_idx", "parent_group_id"),
    Index("security_group_rules_group_id_idx", "group_id"),
)

security_group_instance_association = _table(
    "security_group_instance_association",
    Column(
        "security_group_id",
        Integer,
        ForeignKey(
            "security_groups.id",
            name="security_group_instance_security_group_id_fkey",
        ),
        nullable=False,
    ),
    Column("instance_uuid", Uuid, nullable=False),
    UniqueConstraint(
        "security_group_id",
        "instance_uuid",
        name="uniq_security_group_instance0group_id0instance_uuid",
    ),
    Index("security_group_instance_instance_uuid_idx", "instance_uuid"),
)

# What callers want of an interface on a host, and what the host made of it.
# A tombstone (wanted = gone) outlives the interface: it goes when the host has
# confirmed that the port is gone.
port_bindings = _table(
    "port_bindings",
    Column("interface_uuid", Uuid, nullable=False),
    Column("instance_uuid", Uuid, nullable=False),
    Column("host", Name, nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("plug", String(16)),
    Column("found", String(16)),
    Column("carrier", Boolean),
    Column("reason", Name),
    Column("seen_at", Timestamp),
    UniqueConstraint(
        "interface_uuid",
        "host",
        name="uniq_port_bindings0interface_uuid0host",
    ),
    Index("port_bindings_host_idx", "host"),
    Index("port_bindings_instance_uuid_idx", "instance_uuid"),
)

# `holder` is the machine, and its boot, whose daemon has the name `host`;
# `machine` is what people call it.
services = _table(
    "services",
    Column("host", Name, nullable=False),
    Column("binary", Name, nullable=False),
    Column("topic", Name),
    Column("report_count", Integer, nullable=False, server_default=text("0")),
    Column("last_seen_up", Timestamp),
    Column("state", String(16)),
    Column("reason", Name),
    Column("holder", Name),
    Column("machine", Name),
    UniqueConstraint("host", "binary", name="uniq_services0host0binary"),
)
