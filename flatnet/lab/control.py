"""What the commands `lab up`, `lab status` and `lab exec` do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flatnet.lab import namespaces, owner
from flatnet.lab.background import IS_UP, STEP
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import DAEMON
from flatnet.lab.spec import LabSpec

END_SECONDS = 60.0


@dataclass(frozen=True)
class LabMember:
    """A namespace of a lab: a node, a guest or the surroundings.

    `addresses` have prefixes; `programs` are the names of what runs there.
    """

    name: str
    addresses: tuple[str, ...]
    programs: tuple[str, ...]

    @property
    def has_daemon(self) -> bool:
        return DAEMON in self.programs


def up_in_background(spec: LabSpec, *, say: Callable[[str], None]) -> None:
    """Start a process that holds the lab, and return when it is up.

    :raises LabError: it did not come up; nothing stays
    """
    command = [
        *[sys.executable, "-m", "flatnet.lab.background"],
        *[spec.name, str(spec.nodes), str(spec.directory)],
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C is for us, who pass it on.
        start_new_session=True,
    ) as keeper:
        try:
            said = _follow(keeper, say)
        except BaseException:
            keeper.terminate()
            keeper.wait(END_SECONDS)
            raise
        if said[-1:] == [IS_UP]:
            # It goes on without us, and nobody is to wait for it.
            keeper.returncode = 0
            return
    raise LabError("\n".join(said) or "the lab's process ended")


def _follow(
    keeper: subprocess.Popen[str], say: Callable[[str], None]
) -> list[str]:
    """Repeat the steps that the keeper tells, until it is up or ends.

    Return what it said that was no step: `up`, or what went wrong.
    """
    assert keeper.stdout is not None
    said: list[str] = []
    for line in keeper.stdout:
        text = line.rstrip("\n")
        if text.startswith(STEP):
            say(text.removeprefix(STEP))
        else:
            said.append(text)
        if text == IS_UP:
            break
    return said


def members(spec: LabSpec) -> tuple[LabMember, ...]:
    """Return what there is of a lab just now, by name."""
    return tuple(
        LabMember(
            name=namespace.removeprefix(spec.prefix),
            addresses=_addresses(namespace),
            programs=_programs(namespace),
        )
        for namespace in namespaces.names(spec.prefix)
    )


def holder(spec: LabSpec) -> owner.Owner | None:
    """The living process that holds the lab, or none."""
    found = owner.read(spec.directory)
    return found if found is not None and found.lives else None


def execute(spec: LabSpec, member: str, command: Sequence[str]) -> int:
    """Run a command in a member on our terminal; return its status.

    :raises LabError: the lab has no such member
    """
    namespace = spec.namespace(member)
    if namespace not in namespaces.names(namespace):
        known = ", ".join(each.name for each in members(spec))
        raise LabError(
            f"lab {spec.name} has no {member!r}; it has: {known or 'nothing'}"
        )
    inside = namespaces.inside(namespace, command)
    # So that `flatnet` is this one, wherever it is installed.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(inside, env=environment, check=False).returncode


def _addresses(namespace: str) -> tuple[str, ...]:
    text = namespaces.run(
        ["ip", "-n", namespace, "-4", "-j", "addr", "show", "scope", "global"]
    )
    return tuple(
        f"{entry['local']}/{entry['prefixlen']}"
        for link in json.loads(text or "[]")
        for entry in link.get("addr_info", ())
    )


def _programs(namespace: str) -> tuple[str, ...]:
    found = {_program(pid) for pid in namespaces.pids(namespace)}
    return tuple(sorted(found - {""}))


def _program(pid: int) -> str:
    """The name of what a process runs; empty if it has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # A Python program is the file that the interpreter was given.
    names = [Path(word).name for word in words[:2]]
    return DAEMON if DAEMON in names else names[0]
