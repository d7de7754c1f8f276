"""Sizes of legacy tables are those of what was compared, or written."""

import pytest
from edited import output
from rules import planned

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache

pytestmark = pytest.mark.parametrize("backend", ["legacy"], indirect=True)
# What somebody does as soon as a program of IPv6 is run.
MEDDLING = r"""#!/bin/sh
[ ! -e {now} ] || {{ rm {now}; {damage}; }}
exec {multi} {name} "$@"
"""
DAMAGE = (
    "iptables -F FORWARD",
    "iptables -I FORWARD -j ACCEPT",
    "iptables -t nat -F",
)


@pytest.fixture
def meddle(backend, tmp_path):
    """Have somebody work just before a program does, once each time."""
    now = tmp_path / "now"

    def prepare(name, damage):
        program = backend / name
        multi = program.readlink()
        program.unlink()
        # Whose name says what iptables this is.
        script = backend / f"legacy-{name}"
        script.write_text(
            MEDDLING.format(now=now, damage=damage, multi=multi, name=name)
        )
        script.chmod(0o755)
        program.symlink_to(script)
        return now.touch

    return prepare


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_comes_after_the_reading_is_seen(namespace, meddle, damage):
    happens = meddle("ip6tables-save", damage)

    def steps():
        known = WorkerCache()
        assert apply_firewall(planned(1), known).failures == ()
        assert known.legacy.are_as_left()
        happens()
        assert apply_firewall(planned(1), known).made == ()
        assert not known.legacy.are_as_left()
        assert apply_firewall(planned(1), known).made
        return known.legacy.are_as_left()

    assert namespace.call(steps)


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_comes_after_our_write_is_seen(namespace, meddle, damage):
    happens = meddle("ip6tables-restore", damage)

    def steps():
        known = WorkerCache()
        assert apply_firewall(planned(1), known).failures == ()
        output("iptables", "-F", "flatnet-local")
        output("ip6tables", "-F", "flatnet-local")
        happens()
        assert len(apply_firewall(planned(1), known).made) == 2
        assert not known.legacy.are_as_left()
        assert apply_firewall(planned(1), known).made
        return known.legacy.are_as_left()

    assert namespace.call(steps)


def test_what_was_written_is_as_it_was_left(namespace, backend):
    def steps():
        known = WorkerCache()
        for plan in (planned(1), planned(1, 2, rules=()), planned(1)):
            assert apply_firewall(plan, known).failures == ()
            assert known.legacy.are_as_left()
        output("iptables", "-F", "flatnet-local")
        return known.legacy.are_as_left()

    assert namespace.call(steps) is False
