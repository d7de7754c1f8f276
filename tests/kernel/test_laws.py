"""The laws of the applier as a whole, whatever happens in whatever order.

Rows change by calls and by SQL, asks are about some of it or about all,
workers die, others meddle, more happens than anybody hears; and after each
pass:

* nothing passes, is connected or may be sent that rows do not let in, as far
  as they were heard of;
* what is others' is as it was;
* and where all was looked at, what rows let in passes, another pass finds
  nothing to do, and the host is what a fresh one becomes by the same rows.

The walks are always the same ones.  Others are taken with another seed::

    .venv/bin/python -m pytest tests/kernel/test_laws.py --laws-seed 17

What fails shows its steps, which are a list that `walked` takes.
"""

import inspect
import tempfile
from pathlib import Path

import meddling
import pytest
import tampering
from steps import MEDDLING, Host, walks
from walk import walked

# As many as chance alone chooses, beside what others do to the host; with that
# they take a minute at most on a machine that is busy.
STEPS = 8
UPLINK = {"flat_interface": "eth1", "flat_network_bridge": "br100"}
RATED = {"port_rate": 1_000_000_000}
# Each is another walk, on a host whose daemon has these options.
HOSTS = (
    Host(),
    Host(is_old=True),
    Host(UPLINK),
    Host({"vif_plug": "veth", **RATED}),
    Host({"vif_plug": "external", **UPLINK, **RATED}),
    Host({"dhcp": False}),
    Host({"dhcp": False, "vif_plug": "veth", **UPLINK}),
    Host({"use_ipv6": True}),
    Host(UPLINK, is_old=True),
    Host({"vif_plug": "veth", **UPLINK}),
)


def pytest_generate_tests(metafunc):
    """Give the walks of this run's seed, or the seed itself."""
    seed = metafunc.config.getoption("--laws-seed")
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", [seed])
    if "steps" in metafunc.fixturenames:
        found = list(zip(walks(HOSTS, STEPS, seed), HOSTS, strict=True))
        places = map(str, range(len(HOSTS)))
        metafunc.parametrize(("steps", "host"), found, ids=places)


@pytest.fixture
def directory():
    """A directory that dnsmasq, which is nobody, can enter."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_laws_hold_whatever_happens(namespace, directory, steps, host):
    namespace.call(walked, directory, steps, host)


def test_walks_meet_all_that_others_may_do(seed):
    met = {
        name
        for steps, host in zip(walks(HOSTS, STEPS, seed), HOSTS, strict=True)
        for kind, name, _ in steps
        if kind == "meddle" and host.can_meet(name)
    }
    assert met == set(MEDDLING)


def test_all_that_meddles_is_a_kind_of_it():
    found = {
        name
        for module in (meddling, tampering)
        for name, each in inspect.getmembers(module, inspect.isfunction)
        if list(inspect.signature(each).parameters) == ["directory", "chance"]
        and each.__module__ == module.__name__
        and not name.startswith("_")
    }
    assert found == set(MEDDLING)
