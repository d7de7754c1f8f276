"""Network namespaces as hosts for tests: real kernel, nothing shared.

A `Namespace` is a fresh host with `lo` up.  Commands run in it, and so do
Python functions, each in a forked child, because a process that changed its
own namespace would take the rest of the tests along.
"""

import contextlib
import ctypes
import json
import os
import pickle
import secrets
import signal
import subprocess
import traceback
from pathlib import Path

CLONE_NEWNET = 0x40000000
SECONDS = 60
DUMPS = (
    ("ip", "-j", "addr"),
    ("iptables-save", "-c"),
    ("ip6tables-save", "-c"),
    ("nft", "list", "ruleset"),
)


class Namespace:
    """A named network namespace; `started` are processes to be ended."""

    def __init__(self, name):
        self.name = name
        self.started = []

    def argv(self, *command):
        """The command line that runs `command` in here."""
        return ("ip", "netns", "exec", self.name, *command)

    def run(self, *command, check=True, text=None):
        """Run a command, `text` being its stdin; return what it printed.

        A single argument with blanks is split at them.
        """
        if len(command) == 1:
            command = tuple(command[0].split())
        done = subprocess.run(
            self.argv(*command),
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)} in {self.name}: exit "
                f"{done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def json(self, *command):
        """Run a command that prints JSON; return the value."""
        return json.loads(self.run(*command) or "null")

    def start(self, *command, **options):
        """Start a process that is killed with the namespace; its Popen."""
        process = subprocess.Popen(self.argv(*command), **options)
        self.started.append(process)
        return process

    def call(self, function, *arguments, **named):
        """Return `function(...)` as a forked child in here computes it.

        What it returns or raises is pickled; it has a minute.
        """
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(self.name, writer, lambda: function(*arguments, **named))
        os.close(writer)
        with open(reader, "rb") as stream:
            answer = stream.read()
        status = os.waitpid(child, 0)[1]
        if not answer:
            raise AssertionError(f"no answer: child ended with {status}")
        value, error = pickle.loads(answer)
        if error is not None:
            raise error
        return value

    def describe(self):
        """All that a failing test wants to know of this host, as text."""
        parts = [f"===== host {self.name}"]
        for command in DUMPS:
            parts.append(f"--- {' '.join(command)}")
            parts.append(self.run(*command, check=False).rstrip())
        return "\n".join(parts)

    def _pids(self):
        """The processes in here; `ip netns pids` fails where one just ends."""
        here = Path("/run/netns", self.name).stat().st_ino
        for each in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if Path("/proc", each, "ns/net").stat().st_ino == here:
                    yield int(each)

    def close(self):
        """Kill what runs in here, by pid, and delete the namespace."""
        for process in self.started:
            process.kill()
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait(timeout=SECONDS)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        _output("ip", "netns", "delete", self.name)


@contextlib.contextmanager
def fresh_namespace():
    """A new Namespace; an error on the way prints the host."""
    host = Namespace(f"fnt-{secrets.token_hex(4)}")
    _output("ip", "netns", "add", host.name)
    try:
        host.run("ip link set lo up")
        yield host
    except BaseException:
        print(host.describe())
        raise
    finally:
        host.close()


def _output(*command):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return done.stdout


def _child(name, writer, function):
    """Enter the namespace, answer `(value, error)` and end.  No return."""
    signal.alarm(SECONDS)
    try:
        enter(name)
        answer = _pickled(function(), None)
    except BaseException as error:  # noqa: BLE001 (it is raised again)
        error.add_note(traceback.format_exc())
        answer = _pickled(None, error)
    with open(writer, "wb") as stream:
        stream.write(answer)
    os._exit(0)


def _pickled(value, error):
    try:
        answer = pickle.dumps((value, error))
        pickle.loads(answer)
    except Exception:  # noqa: BLE001 (any class may refuse)
        text = f"cannot be pickled: {value!r} {error!r}"
        notes = "\n".join(getattr(error, "__notes__", ()))
        return pickle.dumps((None, AssertionError(f"{text}\n{notes}")))
    return answer


def enter(name):
    """Move this process to the namespace of that name."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
    finally:
        os.close(handle)
