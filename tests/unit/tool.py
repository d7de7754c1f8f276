"""The operator's tool as a person or a script runs it: a process."""

import functools
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

from flatnet.db import instances, networks

NO_BROKER = "rabbit://flatnet:secret@127.0.0.1:1/"
NETWORK = ("network", "create", "private", "--cidr", "10.0.0.0/24")
INSTANCE = (
    *("instance", "create", "--hostname", "vm_1"),
    *("--host", "node1", "--project-id", "blue"),
)
RULE = ("security", "group", "rule", "create", "web")


class Tool:
    """The tool with a configuration and a database of its own."""

    def __init__(self, directory):
        self.config = directory / "flatnet.conf"
        self.path = directory / "flatnet.sqlite"
        self.url = f"sqlite:///{self.path}"
        self.configure()

    def configure(self, text="", *, url=None, broker=NO_BROKER):
        """Write the file anew; `text` goes into [DEFAULT]."""
        self.config.write_text(
            f"[DEFAULT]\ntransport_url = {broker}\n{text}\n"
            f"[database]\nconnection = {url or self.url}\n"
        )

    def run(self, *words):
        """Run a command with the configuration file."""
        return run("--config-file", str(self.config), *words)

    def printed(self, *words):
        """What a command printed that must succeed without a word."""
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def json(self, *words):
        return json.loads(self.printed(*words, "-f", "json"))

    def refused(self, *words, status=1):
        """The one line on stderr of a command that must fail."""
        return one_line(self.run(*words), status)


def run(*words):
    """Run the tool; return how it ended, as `subprocess.run` does."""
    server = forker(os.getpid())
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("stdout", "stderr")]
        for each in files:
            each.touch()
        print(json.dumps([words, *map(str, files)]), file=server.stdin)
        assert select.select([server.stdout], [], [], 60)[0], words
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(
            words, status, *(each.read_text() for each in files)
        )


@functools.cache
def forker(_pid):
    """Who forks the tool for a process, and in its network namespace."""
    return subprocess.Popen(
        [sys.executable, "-P", Path(__file__).with_name("forker.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def one_line(done, status=1):
    assert done.stdout == ""
    assert done.stderr.startswith("flatnet: ")
    assert done.stderr.count("\n") == 1
    assert done.returncode == status
    return done.stderr


def a_network(database):
    return networks.create(
        database, label="private", cidr="10.0.0.0/24", bridge="br100"
    )


def an_instance(database, hostname="vm_1", host="node1", uuid=None):
    return instances.create(
        database, hostname=hostname, host=host, project_id="blue", uuid=uuid
    )
