"""The laws of the applier as a whole, whatever happens in whatever order.

Rows change by calls and by SQL, asks are about some of it or about all,
workers die, others meddle; and after each pass:

* nothing passes, is connected or may be sent that rows do not let in, as far
  as they were heard of;
* what is others' is as it was;
* and where all was looked at, what rows let in passes, another pass finds
  nothing to do, and the host is what a fresh one becomes by the same rows.
"""

import random
import tempfile
from pathlib import Path

import pytest
from walk import some_steps, walked

# As many as take about a minute; each is another walk, on a host whose daemon
# has these options.
STEPS = 10
UPLINK = {"flat_interface": "eth1", "flat_network_bridge": "br100"}
HOSTS = (
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


@pytest.mark.parametrize(("seed", "flags"), list(enumerate(HOSTS)))
def test_laws_hold_whatever_happens(namespace, directory, seed, flags):
    steps = some_steps(random.Random(seed), STEPS)
    namespace.call(walked, directory, steps, flags)
