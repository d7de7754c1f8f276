"""What oslo has in [DEFAULT] today is known as oslo's."""

import subprocess
import sys

from flatnet.cmd import knownnames
from flatnet.config.options import DEFAULT_OPTIONS

# In a process of its own: to import all of oslo is to set up a lot.
ASKED = """
import importlib.metadata
for entry in importlib.metadata.entry_points(group="oslo.config.opts"):
    if not entry.name.startswith("oslo."):
        continue
    for group, options in entry.load()():
        for option in options:
            if getattr(group, "name", group) in (None, "DEFAULT"):
                print(option.name)
            for old in option.deprecated_opts:
                if (old.group or group or "DEFAULT") == "DEFAULT":
                    print(old.name or option.name)
"""


def test_all_of_oslos_options_are_known():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASKED],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = done.stdout.split()
    assert "transport_url" in names
    assert [name for name in names if not knownnames.is_known(name)] == []


def test_a_family_of_novas_has_none_of_ours():
    ours = {option.name for option in DEFAULT_OPTIONS}
    assert [name for name in ours if knownnames.is_known(name)] == []
