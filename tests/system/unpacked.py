"""Programs of Debian that would manage this machine if they were installed.

Their packages are fetched and unpacked, never installed: no service comes
with them, no file of the machine is another, and nothing starts at a boot.
"""

import fcntl
import shutil
import tempfile
from pathlib import Path

from flatnet.lab.image import CACHE
from flatnet.lab.namespaces import run

PACKAGES = ("firewalld", "network-manager")
FETCH_SECONDS = 300


def unpacked():
    """The directory below which their files are, fetched once."""
    target = CACHE / "managers"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "managers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                shutil.move(_fetched(Path(scratch)), target)
    return target


def _fetched(scratch):
    run(
        [
            *["sh", "-ec", 'cd "$1"; shift; exec "$@"', "sh", str(scratch)],
            *["apt-get", "download", "-q", "-q"],
            # apt's own user may not enter our directory, and says so.
            *["-o", "APT::Sandbox::User=root", *_missing()],
        ],
        timeout=FETCH_SECONDS,
    )
    target = scratch / "unpacked"
    for name in ("etc", "lib", "usr"):
        (target / name).mkdir(parents=True)
    for package in scratch.glob("*.deb"):
        run(["dpkg-deb", "-x", str(package), str(target)])
    return target


def _missing():
    """Names of the packages that this machine lacks, with what they need."""
    simulated = run(
        [
            *["apt-get", "--simulate", "-q", "-q", "install"],
            *["--no-install-recommends", *PACKAGES],
        ]
    )
    words = [line.split() for line in simulated.splitlines()]
    # What is there in another version has that in brackets.
    return [
        each[1]
        for each in words
        if each[0] == "Inst" and not each[2].startswith("[")
    ]
