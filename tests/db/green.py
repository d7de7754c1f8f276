"""As a program: allocate for all instances at once, in green threads.

`green.py URL`: monkey-patched first, as the daemon is.
"""

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402

from flatnet.db import allocation, instances  # noqa: E402
from flatnet.db.engine import Database  # noqa: E402


def main(url):
    database = Database(url)
    pool = eventlet.GreenPool()
    for instance in instances.list_all(database):
        pool.spawn(
            allocation.allocate,
            database,
            instance_uuid=instance.uuid,
            placement=allocation.Placing(instance.host),
        )
    pool.waitall()
    database.close()


if __name__ == "__main__":
    main(sys.argv[1])
