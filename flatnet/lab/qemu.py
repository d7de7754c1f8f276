"""A guest that is a real virtual machine, without hardware acceleration.

It opens the persistent tap that flatnet made, by its name, as a hypervisor
does.  It boots, tries what it is told to, reports on its serial console and
powers off.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flatnet.lab.image import Image
from flatnet.lab.lease import Lease, lease_of
from flatnet.lab.namespaces import LabError
from flatnet.lab.server_process import LabProcess, ServerError

BOOT_SECONDS = 60.0
_MEMORY_MIB = 192
_MARK = "@"


@dataclass(frozen=True)
class Report:
    """What a guest saw; pings and names in the order that was asked for.

    `lease` is none where nobody gave it one.  `pings` are (address, whether
    it answered), `names` are (name, its address or empty).
    """

    mac: str
    mtu: int
    routes: str
    lease: Lease | None
    pings: tuple[tuple[str, bool], ...]
    names: tuple[tuple[str, str], ...]


class QemuGuest:
    """One run of a guest on a tap in a node's namespace."""

    def __init__(
        self,
        image: Image,
        *,
        directory: Path,
        node: str,
        tap: str,
        mac: str,
    ) -> None:
        """`directory` gets the console's text, a file per tap.

        :param node: the namespace that the tap is in
        """
        self._image = image
        self._namespace = node
        self._directory = directory
        self._tap = tap
        self._mac = mac
        self._console = directory / f"{tap}.console"
        self._process: LabProcess | None = None

    def boot(
        self,
        *,
        ping: Sequence[str] = (),
        resolve: Sequence[str] = (),
        seconds: float = BOOT_SECONDS,
    ) -> Report:
        """Run the guest to its end and return what it reported.

        :raises LabError: it did not come to its end in `seconds`; with the
            last lines of its console
        """
        self.start(ping=ping, resolve=resolve)
        return self.report(seconds=seconds)

    def start(
        self, *, ping: Sequence[str] = (), resolve: Sequence[str] = ()
    ) -> None:
        """Start the guest, so that several can run at a time."""
        self._run(self._line(ping, resolve), "-serial", "stdio")

    @staticmethod
    def _line(ping: Sequence[str], resolve: Sequence[str]) -> str:
        """What the kernel is told on its command line."""
        line = f"console=ttyS0 quiet flatnet.ping={','.join(ping)} "
        return f"{line}flatnet.resolve={','.join(resolve)}"

    def _run(self, line: str, *more: str) -> None:
        """Run QEMU with a line for the kernel, and more arguments."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._console.unlink(missing_ok=True)
        network = f"tap,id=net0,ifname={self._tap},script=no,downscript=no"
        self._process = LabProcess(
            [
                *["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max"],
                *["-m", str(_MEMORY_MIB), "-nodefaults", "-no-reboot"],
                *["-display", "none", *more],
                *["-kernel", str(self._image.kernel)],
                *["-initrd", str(self._image.initramfs)],
                *["-append", line, "-netdev", network],
                *["-device", f"virtio-net-pci,netdev=net0,mac={self._mac}"],
            ],
            log=self._console,
            namespace=self._namespace,
        )

    def report(self, *, seconds: float = BOOT_SECONDS) -> Report:
        """Wait for the guest's end, and return what it reported."""
        if self._process is None:
            raise LabError("the guest was not started")
        # Its power going off is its end, and no failure.
        with suppress(ServerError):
            self._process.wait_until(lambda: False, seconds=seconds)
        text = self._console.read_text(errors="replace")
        if f"{_MARK}end: yes" not in text:
            last = "\n".join(text.splitlines()[-25:])
            raise LabError(f"guest on {self._tap} did not finish:\n{last}")
        return report_of(text)

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            self._process.kill()


def report_of(console: str) -> Report:
    """Read the marked lines out of the console's text.

    :raises KeyError: the guest did not come far enough
    """
    found: dict[str, list[str]] = {}
    for line in console.splitlines():
        if line.startswith(_MARK):
            name, _colon, value = line[len(_MARK) :].partition(": ")
            found.setdefault(name, []).append(value)
    options = found.get("lease")
    pings = [value.split() for value in found.get("ping", [])]
    names = [value.split() for value in found.get("resolve", [])]
    return Report(
        mac=found["mac"][0],
        mtu=int(found["mtu"][0]),
        routes="\n".join(found.get("route", [])),
        lease=lease_of("\0".join(options)) if options else None,
        pings=tuple((address, said == "yes") for address, said in pings),
        names=tuple(
            (name, "" if said == "none" else said) for name, said in names
        ),
    )
