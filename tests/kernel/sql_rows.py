"""The same rows, changed by who writes SQL and asks nobody.

Each write returns the scope that an ask about it would have.
"""

from cloud_rows import HOST, OTHER, some

from flatnet.db import bindings
from flatnet.state.scope import EVERYTHING, NOTHING, Scope, of_instance

_RULES = (
    "UPDATE security_group_rules SET to_port = 90 WHERE id = ?",
    "UPDATE security_group_rules SET cidr = NULL WHERE id = ?",
    "UPDATE security_group_rules SET cidr = '10.0.0.0/29' WHERE id = ?",
)
_GROUP = (
    "DELETE FROM security_group_rules WHERE parent_group_id = ?",
    "DELETE FROM security_group_rules WHERE group_id = ?",
    "DELETE FROM security_groups WHERE id = ?",
)
_NETWORKS = (
    "UPDATE networks SET mtu = 1400 WHERE id = ?",
    "UPDATE networks SET mtu = NULL WHERE id = ?",
    "UPDATE networks SET dns1 = '192.0.2.53' WHERE id = ?",
)
_INSTANCE = (
    "DELETE FROM fixed_ips WHERE instance_uuid = ?",
    "DELETE FROM virtual_interfaces WHERE instance_uuid = ?",
    "DELETE FROM port_bindings WHERE instance_uuid = ?",
)
_OWNER = (
    "UPDATE fixed_ips SET instance_uuid = ?, virtual_interface_id = ?, "
    "allocated = ? WHERE id = ?"
)
_MAC = "UPDATE virtual_interfaces SET address = ? WHERE id = ?"


def rewrite(cloud, chance):
    """Make another rule of one, perhaps one that means nothing."""
    found = cloud.all("security_group_rules")
    if not found:
        return NOTHING
    each = chance.choice(found)
    cloud.sql(chance.choice(_RULES), each["id"])
    return Scope(groups=frozenset((each["parent_group_id"],)))


def ungroup(cloud, chance):
    """Delete a group with its rules, and leave who is in it."""
    if len(cloud.all("security_groups")) > 2:
        group = cloud.group(chance)
        for statement in _GROUP:
            cloud.sql(statement, group)
    return EVERYTHING


def move(cloud, chance):
    """Have an instance's row name another host, with or without a call."""
    uuid = some(chance, cloud.living())
    if uuid is None:
        return NOTHING
    host = chance.choice((HOST, OTHER))
    cloud.sql("UPDATE instances SET host = ? WHERE uuid = ?", host, uuid)
    if chance.random() < 0.5:
        bindings.expect(
            cloud.database, instance_uuid=uuid, host=HOST, plug="tap"
        )
    return of_instance(uuid)


def vanish(cloud, chance):
    """Delete an instance as nova does, with no call."""
    uuid = some(chance, cloud.living())
    if uuid is None:
        return NOTHING
    cloud.sql("UPDATE instances SET deleted = id WHERE uuid = ?", uuid)
    return of_instance(uuid)


def erase(cloud, chance):
    """Delete all that an instance has, and leave no word of it.

    Not where few are left: of a host that knows none of its ports nothing
    is touched.
    """
    found = cloud.all("virtual_interfaces")
    owners = sorted({each["instance_uuid"] for each in found})
    here = {e["uuid"] for e in cloud.all("instances", deleted=0, host=HOST)}
    if len(owners) < 4 or len(here.intersection(owners)) < 2:
        return NOTHING
    uuid = chance.choice(owners)
    for statement in _INSTANCE:
        cloud.sql(statement, uuid)
    return of_instance(uuid)


def inherit(cloud, chance):
    """Give one instance the address of another, which has none then."""
    pair = _neighbours(cloud, chance)
    if pair is None:
        return NOTHING
    loser, heir = pair
    # The heir's own is free from now on.
    cloud.sql(_OWNER, None, None, 0, heir["id"])
    cloud.sql(_OWNER, *_owner(heir), loser["id"])
    return _of_both(heir, loser)


def swap(cloud, chance):
    """Have two instances exchange their addresses."""
    pair = _neighbours(cloud, chance)
    if pair is None:
        return NOTHING
    one, two = pair
    cloud.sql(_OWNER, *_owner(two), one["id"])
    cloud.sql(_OWNER, *_owner(one), two["id"])
    return _of_both(one, two)


def _neighbours(cloud, chance):
    """Rows of addresses of two instances on one network."""
    found = [e for e in cloud.all("fixed_ips") if e["instance_uuid"]]
    pairs = [
        (one, two)
        for one in found
        for two in found
        if one["network_id"] == two["network_id"]
        and one["instance_uuid"] != two["instance_uuid"]
    ]
    return some(chance, pairs)


def _of_both(one, two):
    uuids = one["instance_uuid"], two["instance_uuid"]
    return Scope(instances=frozenset(uuids))


def _owner(row):
    return row["instance_uuid"], row["virtual_interface_id"], 1


def remac(cloud, chance):
    """Give one instance the MAC of another, which gets a new one."""
    found = cloud.all("virtual_interfaces")
    if len(found) < 2:
        return NOTHING
    one, two = chance.sample(found, 2)
    digits = (f"{chance.randrange(256):02x}" for _ in range(3))
    cloud.sql(_MAC, "fa:16:3e:" + ":".join(digits), one["id"])
    cloud.sql(_MAC, one["address"], two["id"])
    return _of_both(one, two)


def resize(cloud, chance):
    """Give a network another mtu, or another name server."""
    network = chance.choice(cloud.all("networks"))
    cloud.sql(chance.choice(_NETWORKS), network["id"])
    return EVERYTHING


STATEMENTS = (
    *(rewrite, ungroup, move, vanish, erase, inherit, swap, remac, resize),
)
