"""The near end of a process in the lab that is asked and answers.

The lab's broker, and all that nodes have, is in namespaces, which are entered
by processes and not by us: whatever is asked there again and again is asked
of a program that stays.  A question is a JSON object in one line of its
input, the answer another one of its output; `answering` is its end of it.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flatnet.lab import namespaces
from flatnet.lab.namespaces import LabError
from flatnet.lab.server_process import as_user, log_tail

_END_SECONDS = 10.0
Json = dict[str, Any]


class Conversation:
    """The near end: it answers one question after the other.

    For answers at the same time have several of them.
    """

    def __init__(
        self, module: str, *words: str, namespace: str, log: Path
    ) -> None:
        """Start `module` as a program with these arguments."""
        self._module, self._log = module, log
        command: Sequence[str] = [sys.executable, "-m", module, *words]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                namespaces.inside(namespace, [*as_user(None), *command]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Ctrl-C is for us, who end it in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, question: Json) -> Json:
        """Return the answer.

        :raises LabError: there is none, for the program has ended
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LabError(f"{self._module} has ended\n{log_tail(self._log)}")
        answer: Json = json.loads(line)
        return answer

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait(_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
