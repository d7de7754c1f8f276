"""The kernel and the initramfs of QEMU guests, fetched and built once.

The kernel is Debian's cloud kernel, fetched from the package registry and
unpacked, never installed.  The initramfs holds a static busybox, the
modules of a virtio network device and an init that reports what it saw.
"""

import fcntl
import gzip
import hashlib
import lzma
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flatnet.lab.lease import CLIENT_OPTIONS, SCRIPT
from flatnet.lab.namespaces import LabError, run

CACHE = Path("/var/cache/flatnet-lab")
_META_PACKAGE = "linux-image-cloud-amd64"
_FETCH_SECONDS = 300.0
_BUSYBOX = Path("/bin/busybox")
# What a virtio network device on PCI needs; the rest follows from these.
_MODULES = ("virtio_pci", "virtio_net")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_APPLETS = (
    *("awk", "cat", "echo", "env", "insmod", "ip", "kill", "mount", "mv"),
    *("nc", "nslookup", "ping", "poweroff", "rm", "route", "sed", "sh"),
    *("sleep", "tr", "udhcpc"),
)
_DIRECTORIES = ("bin", "dev", "etc", "modules", "proc", "sys", "tmp")
_DIRECTORY = stat.S_IFDIR | 0o755
_EXECUTABLE = stat.S_IFREG | 0o755
_LINK = stat.S_IFLNK | 0o777

_INIT = f"""\
#!/bin/sh
# The first process of the guest.  It gets a lease, looks around and reports
# on the serial console, one `@name: value` per line, then powers off, or
# with flatnet.stay=yes does what it is told on the console, a command a line.
# The kernel's command line says what to try, with commas between:
# flatnet.ping=ADDRESS,... and flatnet.resolve=NAME,...
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
ip link set eth0 up

report() {{ echo "@$1: $2"; }}
wanted() {{ sed -n "s/.*flatnet\\.$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }}

export FILES=/etc
udhcpc -i eth0 -f -n -q -t 8 -T 1 -s /udhcpc {" ".join(CLIENT_OPTIONS)}
if [ -e /etc/lease ]; then
    tr '\\0' '\\n' < /etc/lease |
        while read -r option; do report lease "$option"; done
fi
report mac "$(cat /sys/class/net/eth0/address)"
report mtu "$(cat /sys/class/net/eth0/mtu)"
route -n | while IFS= read -r line; do report route "$line"; done
IFS=,
for address in $(wanted ping); do
    if ping -c 3 -W 2 "$address" > /dev/null; then
        report ping "$address yes"
    else
        report ping "$address no"
    fi
done
for name in $(wanted resolve); do
    found=$(nslookup "$name" 2> /dev/null |
        awk '/^Address/ && seen++ {{ print $2; exit }}')
    report resolve "$name ${{found:-none}}"
done
report end yes
if [ -z "$(wanted stay)" ]; then poweroff -f; fi
unset IFS
rm -f /etc/lease
udhcpc -i eth0 -f -s /udhcpc {" ".join(CLIENT_OPTIONS)} &
client=$!
until [ -e /etc/lease ]; do sleep 0.1; done
report up yes
while read -r line; do
    eval "$line"
    report done "$?"
done
"""


@dataclass(frozen=True)
class Image:
    """Paths of what QEMU boots."""

    kernel: Path
    initramfs: Path


def image(cache: Path = CACHE) -> Image:
    """Return the image, fetching and building what the cache lacks.

    :raises LabError: the registry cannot be reached, a program is missing
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        kernel, modules = _kernel(cache)
        content = _initramfs(modules)
        digest = hashlib.sha256(content).hexdigest()[:16]
        initramfs = cache / f"initramfs-{digest}.cpio.gz"
        if not initramfs.exists():
            for old in cache.glob("initramfs-*"):
                old.unlink()
            new = cache / "new"
            new.write_bytes(gzip.compress(content, compresslevel=1))
            new.rename(initramfs)
    return Image(kernel=kernel, initramfs=initramfs)


def _kernel(cache: Path) -> tuple[Path, Path]:
    """Paths of the kernel and of its modules, by file name, fetched once."""
    unpacked = cache / "kernel"
    if not unpacked.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            shutil.move(_unpacked_kernel(Path(scratch)), unpacked)
    kernels = sorted((unpacked / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise LabError(f"{unpacked} holds no kernel; remove it to try again")
    return kernels[0], unpacked / "lib" / "modules"


def _unpacked_kernel(scratch: Path) -> Path:
    """Fetch the kernel's package and unpack it; return the directory."""
    run(
        [
            *["sh", "-ec", 'cd "$1"; shift; exec "$@"', "sh", str(scratch)],
            *["apt-get", "download", "-q", "-q"],
            # apt's own user may not enter our directory, and says so.
            *["-o", "APT::Sandbox::User=root", _kernel_package()],
        ],
        timeout=_FETCH_SECONDS,
    )
    package = next(scratch.glob("*.deb"))
    target = scratch / "unpacked"
    run(["dpkg-deb", "-x", str(package), str(target)], timeout=_FETCH_SECONDS)
    return target


def _kernel_package() -> str:
    """The package with the kernel that the meta package stands for."""
    for line in run(["apt-cache", "depends", _META_PACKAGE]).splitlines():
        name = line.strip().removeprefix("Depends: ")
        if name.startswith("linux-image-") and name != _META_PACKAGE:
            return name
    raise LabError(
        f"apt knows no {_META_PACKAGE}; run apt-get update, on Debian/amd64"
    )


def _initramfs(modules: Path) -> bytes:
    """The initramfs as an uncompressed cpio archive."""
    paths = {
        path.name.split(".ko")[0].replace("-", "_"): path
        for path in modules.rglob("*.ko*")
    }
    contents: dict[str, bytes] = {}
    for name in _MODULES:
        _load_module(name, paths=paths, into=contents)
    entries = [(name, _DIRECTORY, b"") for name in _DIRECTORIES]
    entries.append(("bin/busybox", _EXECUTABLE, _BUSYBOX.read_bytes()))
    entries += [(f"bin/{name}", _LINK, b"busybox") for name in _APPLETS]
    # In the order in which they have to be loaded.
    names = [f"{index:02}-{name}.ko" for index, name in enumerate(contents)]
    entries += [
        (f"modules/{name}", stat.S_IFREG | 0o644, content)
        for name, content in zip(names, contents.values(), strict=True)
    ]
    entries.append(("init", _EXECUTABLE, _INIT.encode()))
    entries.append(("udhcpc", _EXECUTABLE, SCRIPT.encode()))
    return b"".join(_cpio(entries))


def _load_module(
    name: str, *, paths: dict[str, Path], into: dict[str, bytes]
) -> None:
    """Add a module after those that it depends on.

    A module says itself what it needs: the package has no modules.dep,
    which is made when a kernel is installed.
    """
    if name in into or name not in paths:
        # Not a file: built into the kernel.
        return
    path = paths[name]
    content = path.read_bytes()
    if path.suffix == ".xz":
        content = lzma.decompress(content)
    found = _DEPENDS.search(content)
    for needed in found.group(1).decode().split(",") if found else []:
        if needed:
            wanted = needed.replace("-", "_")
            _load_module(wanted, paths=paths, into=into)
    into[name] = content


def _cpio(entries: list[tuple[str, int, bytes]]) -> Iterator[bytes]:
    """An archive in the `newc` format; entries are (name, mode, content)."""
    ending = ("TRAILER!!!", 0, b"")
    for number, (name, mode, content) in enumerate([*entries, ending]):
        encoded = name.encode() + b"\0"
        # inode, mode, owner, group, links, time, size, device (2), special
        # device (2), length of the name, checksum
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0)
        header = "070701" + "".join(
            f"{field:08X}" for field in (*fields, len(encoded), 0)
        )
        yield _padded(header.encode() + encoded)
        yield _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
