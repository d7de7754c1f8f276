"""In a pid namespace of its own, as a container's, one knows one's own deeds.

The kernel tells pids there as they are outside.
"""

import ctypes
import os
import traceback

from test_watch import PORT, ROWS, applier, output, rules

from flatnet.apply.events import Happened
from tests.builders import settings
from tests.planned import host_plan, parted
from tests.waiting import eventually

CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def contained(act):
    """Run `act` as the first process of a pid namespace, with its /proc."""
    libc = ctypes.CDLL(None)
    assert not libc.unshare(CLONE_NEWNS | CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        try:
            assert not libc.mount(b"", b"/", None, MS_REC | MS_PRIVATE, None)
            assert not libc.mount(b"proc", b"/proc", b"proc", 0, None)
            act()
        except BaseException:  # noqa: BLE001 (it is told, and ends all here)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_what_it_wrote_itself_is_nobodys_deed(namespace, tmp_path):
    """Whether by sockets of its own or by programs that it ran."""
    log = tmp_path / "log"

    def worked():
        with applier(tmp_path, log) as serving:
            assert os.getpid() == 1
            output(f"ip link set {PORT} down")
            # Which is the first that anybody asks a pass for.
            assert serving.wait_for_event() == Happened(ports=(PORT,))
            open_to_all = settings(dhcp=False, routing_source_ip="")
            changes = serving.apply(parted(host_plan(ROWS, open_to_all)))
            assert changes.failures == ()
            output(f"ip link set {PORT} down")
            assert serving.wait_for_event() == Happened(ports=(PORT,))

    namespace.call(contained, worked)
    assert "changed rules of flatnet" not in log.read_text()


def test_what_others_do_is_mended_and_told(namespace, tmp_path):
    log = tmp_path / "log"

    def flushed():
        with applier(tmp_path, log):
            before = sorted(rules())
            output("iptables -F")
            eventually(lambda: sorted(rules()) == before)

    namespace.call(contained, flushed)
    told = log.read_text()
    assert told.count("changed rules of flatnet") == 1
    assert " ERROR flatnet.applier iptables (" in told
