"""The laws of the applier as a whole, whatever happens in whatever order.

Rows change by calls and by SQL, asks are about some of it or about all,
workers die, others meddle; and after each pass:

* nothing passes, is connected or may be sent that rows do not let in, as far
  as they were heard of;
* what is others' is as it was;
* and where all was looked at, what rows let in passes, another pass finds
  nothing to do, and the host is what a fresh one becomes by the same rows.
"""

import inspect
import tempfile
from pathlib import Path
from typing import Any

import meddling
import pytest
from steps import MEDDLING, OF_SERVERS, walks
from walk import walked

# As many as chance alone chooses, beside what others do to the host; with that
# they take a minute at most on a machine that is busy.
STEPS = 10
UPLINK = {"flat_interface": "eth1", "flat_network_bridge": "br100"}
# Each is another walk, on a host whose daemon has these options.
HOSTS: tuple[dict[str, Any], ...] = (
    {},
    {},
    UPLINK,
    {"vif_plug": "veth"},
    {"vif_plug": "external", **UPLINK},
    {"dhcp": False},
    {"dhcp": False, "vif_plug": "veth", **UPLINK},
)


@pytest.fixture
def directory():
    """A directory that dnsmasq, which is nobody, can enter."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("steps", "flags"),
    list(zip(walks(HOSTS, STEPS), HOSTS, strict=True)),
    ids=map(str, range(len(HOSTS))),
)
def test_laws_hold_whatever_happens(namespace, directory, steps, flags):
    namespace.call(walked, directory, steps, flags)


def test_walks_meet_all_that_others_may_do():
    met = {
        name
        for steps, flags in zip(walks(HOSTS, STEPS), HOSTS, strict=True)
        for kind, name, _ in steps
        if kind == "meddle"
        and (flags.get("dhcp", True) or name not in OF_SERVERS)
    }
    assert met == set(MEDDLING)


def test_all_that_meddles_is_a_kind_of_it():
    found = {
        name
        for name, each in inspect.getmembers(meddling, inspect.isfunction)
        if list(inspect.signature(each).parameters) == ["directory", "chance"]
        and not name.startswith("_")
    }
    assert found == set(MEDDLING)
