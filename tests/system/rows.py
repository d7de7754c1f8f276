"""What a compute service does, for the tests: rows, then RPC."""

import contextlib

from flatnet.db import instances, networks
from flatnet.db.engine import Database


def new_instance(lab, hostname, node):
    """Write an instance's row; return its uuid."""
    with contextlib.closing(Database(lab.database_url)) as database:
        return instances.create(
            database, hostname=hostname, host=node, project_id="blue"
        ).uuid


def new_network(lab, cidr="10.0.0.0/24", **more):
    """Create the network of the lab on br100."""
    of = {"label": "flat", "cidr": cidr, "bridge": "br100", **more}
    with contextlib.closing(Database(lab.database_url)) as database:
        networks.create(database, **of)


def allocate(lab, uuid, node, **more):
    """Allocate over RPC; return NetworkInfo."""
    return lab.rpc().call(
        "allocate_for_instance", instance_id=uuid, host=node, **more
    )
