"""A virtual machine that moves alive, in nova's order of calls."""

import contextlib
import subprocess
from pathlib import Path

import pytest

from flatnet.db.engine import Database
from flatnet.lab import namespaces
from flatnet.lab.lease import lease_of
from flatnet.lab.moving_guest import MovingGuest
from flatnet.lab.spec import OUTSIDE_ADDRESS
from tests.system.rows import allocate, new_instance, new_network
from tests.waiting import eventually

PORT = 7000
SECONDS = 110
TALK = (
    "(while :; do echo on; sleep 0.1; done) | "
    f"nc {OUTSIDE_ADDRESS} {PORT} > /dev/null &"
)


class Talk:
    """A connection of a guest to a server outside, and what came by it."""

    def __init__(self, lab, directory):
        self._heard = Path(directory, "heard")
        self._output = self._heard.open("wb")
        self._server = subprocess.Popen(
            namespaces.inside(
                lab.spec.namespace("outside"),
                ["busybox", "nc", "-l", "-p", str(PORT)],
            ),
            # Its end would be the end of the connection.
            stdin=subprocess.PIPE,
            stdout=self._output,
        )

    def lines(self):
        return self._heard.read_bytes().count(b"\n")

    def goes_on(self):
        """Wait until more comes."""
        before = self.lines()
        eventually(lambda: self.lines() > before, "silence", seconds=20)

    def end(self):
        self._server.kill()
        self._server.communicate()
        self._output.close()


@pytest.fixture
def talk(tmp_path):
    with contextlib.ExitStack() as stack:

        def listen(lab):
            talk = Talk(lab, tmp_path)
            stack.callback(talk.end)
            return talk

        yield listen


def place(rpc, lab, uuid, host):
    """What a compute service does last: the row, then both hosts."""
    with contextlib.closing(Database(lab.database_url)) as database:
        database.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE instances SET host = ? WHERE uuid = ?", (host, uuid)
            )
        )
    for each in lab.nodes:
        rpc.call(
            "setup_networks_on_host",
            instance_id=uuid,
            host=each.name,
            teardown=each.name != host,
        )


def routers(guest):
    """By what a guest leaves its network."""
    lines = guest.tell("route -n").splitlines()
    return [line.split()[1] for line in lines if line.startswith("0.0.0.0")]


def renewed(guest):
    """What a guest gets when it renews its lease."""
    guest.tell("rm /etc/lease; kill -USR1 $client")
    guest.tell("until [ -e /etc/lease ]; do sleep 0.1; done", seconds=30)
    options = guest.tell("tr '\\0' '\\n' < /etc/lease").splitlines()
    return lease_of("\0".join(options))


def test_a_guest_moves_alive(labs, talk):
    """A connection goes on, by the way that it began on, through all of it."""
    lab = labs(nodes=2, vif_plug="tap")
    new_network(lab)
    rpc, (source, dest) = lab.rpc(), lab.nodes
    uuid = new_instance(lab, "vm-1", source.name)
    [vif] = allocate(lab, uuid, source.name)
    port = {"tap": vif["devname"], "mac": vif["address"]}
    here = lab.machine(MovingGuest, node=source, **port)
    there = lab.machine(MovingGuest, node=dest, **port)
    here.start()
    here.wait_up(seconds=SECONDS)
    heard = talk(lab)
    here.tell(TALK)
    heard.goes_on()
    made_ready = {"instance_id": uuid, "host": dest.name}
    move = {"instance_uuid": uuid, "source": source.name, "dest": dest.name}

    rpc.call("setup_networks_on_host", **made_ready)
    heard.goes_on()
    # It is on the source still, and what it sends comes by the uplink.
    dest.run("ping -c 1 -W 2 10.0.0.2")
    there.expect()
    here.move_to(there, seconds=SECONDS)
    rpc.call("migrate_instance_start", **move)
    heard.goes_on()
    rpc.call("setup_networks_on_host", **made_ready)
    rpc.call("migrate_instance_finish", **move)
    place(rpc, lab, uuid, dest.name)
    heard.goes_on()

    assert routers(there) == ["10.0.0.1"]
    assert vif["devname"] not in source.run("ip -br link")
    lease = renewed(there)
    assert lease.address == "10.0.0.2"
    assert [lease.router] == routers(there) == ["10.0.0.3"]
    there.tell(f"ping -c 1 -W 2 {OUTSIDE_ADDRESS}")
    assert "NAK" not in there.console()
