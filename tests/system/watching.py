"""What passes between guests while something happens to their host."""

import itertools
import os
import re
import subprocess
import tempfile
import time

SECONDS = 20
PAUSE = "0.05"
_ANSWER = re.compile(r"^\[(?P<at>[\d.]+)\] \d+ bytes from", re.MULTILINE)


class Watched:
    """Somebody in a namespace who asks an address until the block ends."""

    def __init__(self, namespace, address):
        self._command = [
            *("ip", "netns", "exec", namespace),
            *("ping", "-D", "-n", "-i", PAUSE, address),
        ]

    def __enter__(self):
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, stdout=self._output, stderr=subprocess.DEVNULL
        )
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._output.close()

    @property
    def answers(self):
        """When there were answers so far, in seconds since 1970."""
        size = os.fstat(self._output.fileno()).st_size
        text = os.pread(self._output.fileno(), size, 0).decode()
        return [float(at) for at in _ANSWER.findall(text)]

    def wait(self, seconds=SECONDS):
        """Return once there is an answer from now on.

        :raises AssertionError: there was none for so many seconds
        """
        begun = time.time()
        while not any(at > begun for at in self.answers):
            assert time.time() < begun + seconds, "there is no answer"
            time.sleep(0.1)

    @property
    def longest_gap(self):
        """For how many seconds there was no answer."""
        pairs = itertools.pairwise(self.answers)
        return max((late - early for early, late in pairs), default=0)
