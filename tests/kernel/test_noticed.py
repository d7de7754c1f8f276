"""What the kernel tells of files, settings and ends needs no probe."""

import select
from dataclasses import replace

import pytest
from test_host import directory  # noqa: F401
from test_spared_steps import PLAN, done, resting  # noqa: F401

from flatnet.apply.probes import Probes
from flatnet.state.effects import Subject, Surface
from tests.effects import was_set
from tests.waiting import eventually

(PORT,) = PLAN.ports
BRIDGED = "net.bridge.bridge-nf-call-iptables"
ENABLED = f"net.ipv6.conf.{PORT}.disable_ipv6=0"


def wakes(probes):
    return bool(select.select(probes.descriptors, [], [], 0)[0])


def quiet(probes, plan=PLAN):
    """Whether all was heard, and wakes nobody again."""
    return probes.noticed(plan) == () and not wakes(probes)


def begun(here):
    """Probes that know what a pass has left."""
    probes = Probes(here.known, here.devices)
    probes.note(PLAN)
    # The server may have written its files a moment ago.
    eventually(lambda: quiet(probes))
    return probes


@pytest.mark.parametrize(
    ("meddling", "subject"),
    [
        (f"sysctl -qw {ENABLED}", Subject(Surface.PORT, PORT)),
        (
            "rm {files}/flatnet-br100.leases",
            Subject(Surface.FILE, "{files}/flatnet-br100.leases"),
        ),
        (
            "truncate -s 0 {files}/flatnet-br100.hosts",
            Subject(Surface.FILE, "{files}/flatnet-br100.hosts"),
        ),
        (
            "kill -9 $(cat {files}/flatnet-br100.pid)",
            Subject(Surface.DHCP, "br100"),
        ),
    ],
)
def test_it_is_met_at_once_and_told_once(
    resting,  # noqa: F811
    directory,  # noqa: F811
    meddling,
    subject,
):
    def placed(text):
        return text.replace("{files}", str(directory))

    def noticed(here):
        probes = begun(here)
        done(placed(meddling))
        eventually(lambda: wakes(probes))
        met = probes.noticed(PLAN)
        wanted = replace(subject, key=placed(subject.key))
        assert [each.subject for each in met] == [wanted]
        eventually(lambda: quiet(probes))
        here.devices.forget()
        assert here.a_pass(ports=None).made

    resting(noticed)


def test_a_setting_is_put_back_at_once(resting):  # noqa: F811
    def flipped(here):
        probes = begun(here)
        done(f"sysctl -qw {BRIDGED}=0")
        assert wakes(probes)
        assert probes.noticed(PLAN) == (was_set(BRIDGED, "1"),)
        # Our own writing is heard, and nothing is made of it.
        eventually(lambda: quiet(probes))

    resting(flipped)


def assert_noticed(probes):
    """That the port has IPv6 is all that is noticed."""
    (met,) = probes.noticed(PLAN)
    assert met.subject == Subject(Surface.PORT, PORT)


def test_a_device_that_was_made_anew_is_watched(resting):  # noqa: F811
    def made_anew(here):
        probes = begun(here)
        done(f"ip link delete {PORT}")
        made = here.a_pass(ports=None).made
        probes.note(PLAN, made)
        eventually(lambda: quiet(probes))
        done(f"sysctl -qw {ENABLED}")
        assert_noticed(probes)

    resting(made_anew)


def test_what_is_written_while_a_pass_works_is_looked_at(resting):  # noqa: F811
    def meanwhile(here):
        probes = begun(here)
        done(f"sysctl -qw {ENABLED}")
        probes.note(PLAN)
        assert_noticed(probes)

    resting(meanwhile)


def test_what_the_kernel_does_not_tell_a_probe_finds(resting):  # noqa: F811
    """As of who has settings mounted elsewhere, in a container of his own."""

    def elsewhere(here):
        probes = begun(here)
        mounted = f"mount -t proc proc /proc && sysctl -qw {ENABLED}"
        done(f"unshare --pid --fork --mount sh -c '{mounted}'")
        assert not wakes(probes)
        assert probes.noticed(PLAN) == ()
        (met,) = probes.mended(PLAN)
        assert met.subject == Subject(Surface.PORT, PORT)

    resting(elsewhere)
