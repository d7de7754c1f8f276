"""The guard's tables belong to somebody, where the kernel can do that."""

import os
import signal
import threading

import guarded
import pytest
from guarded import PORT_A, guard
from test_guard_tables import tables, unowned

from flatnet.apply.filter.guard.guard import (
    FAMILIES,
    TABLE,
    Guarding,
    apply_guard,
)
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.exceptions import HostSetupError
from tests.effects import guard_set


@pytest.fixture
def site(namespaces):
    return guarded.site(namespaces)


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table bridge flatnet",
        "flush chain inet flatnet prerouting",
        f'delete element bridge flatnet ports {{ "{PORT_A}" }}',
        "add table arp flatnet { flags dormant; }",
    ],
)
def test_owned_tables_outlive_what_others_do(site, damage):
    """Here nobody else can do what the test above does."""
    others = ("nft", "-f", "-")

    def owned():
        with Session() as session:
            apply_guard(session, Guarding(), guard())
            whole = tables(site)
            site.host.run(*others, text=damage, check=False)
            site.host.run("iptables -F")
            return (
                whole,
                tables(site),
                apply_guard(session, Guarding(), guard()).made,
            )

    whole, after, made = site.host.call(owned)
    assert after == whole
    assert made == ()


def test_a_forked_worker_owns_what_its_parent_does(site):
    def forked():
        with Session() as session:
            apply_guard(session, Guarding(), guard())
            worker = os.fork()
            if worker == 0:
                session.forget()
                apply_guard(session, Guarding(), guard(isolated=False))
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitpid(worker, 0)
            session.forget()
            site.host.run("nft flush ruleset")
            return apply_guard(session, Guarding(), guard(isolated=False)).made

    assert site.host.call(forked) == ()


def test_tables_without_an_owner_are_used_as_they_are(site):
    unowned(site)
    assert len(site.apply(guard()).made) == len(FAMILIES)
    whole = tables(site)
    site.host.run("nft flush ruleset")
    assert len(site.apply(guard()).made) == len(FAMILIES)
    assert tables(site) == whole


def test_one_table_without_an_owner_leaves_the_others_owned(site):
    site.host.run(f"nft add table inet {TABLE}")

    def applied():
        with Session() as session:
            apply_guard(session, Guarding(), guard())
            for family in FAMILIES:
                site.host.run(
                    f"nft delete table {family} {TABLE}", check=False
                )
            return site.host.run("nft list tables").splitlines()

    owned = {f"table {family} {TABLE}" for family in FAMILIES} - {
        f"table inet {TABLE}"
    }
    assert set(site.host.call(applied)) == owned


def test_tables_of_a_living_owner_are_refused_in_one_line(site):
    def second():
        site.apply(guard())
        with Session() as session:
            session.adopt([("bridge", TABLE)])
            return site.apply(guard())

    with pytest.raises(HostSetupError, match="belongs to another process"):
        site.host.call(second)


def test_others_may_write_all_the_time(site):
    """What was read a moment ago is not written on top of what is there."""
    ended = threading.Event()

    def disturb():
        while not ended.is_set():
            site.host.run("nft add table ip theirs")
            site.host.run("nft delete table ip theirs")

    def passes():
        with Session() as session:
            apply_guard(session, Guarding(), guard())
            whole = tables(site)
            writer = threading.Thread(target=disturb)
            writer.start()
            try:
                for _ in range(25):
                    fewer = apply_guard(
                        session, Guarding(), guard(guard().ports[0])
                    )
                    assert guard_set("ports", "+0 -1") in fewer.made
                    assert guard_set("ports", "+1 -0") in (
                        apply_guard(session, Guarding(), guard()).made
                    )
            finally:
                ended.set()
                writer.join()
            return whole, tables(site)

    before, after = site.host.call(passes)
    assert after == before
