"""The near end of `flatnet.lab.call`: RPC calls from outside the lab."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from flatnet import exceptions
from flatnet.lab import namespaces
from flatnet.lab.daemon import as_user, log_tail
from flatnet.lab.namespaces import LabError

_END_SECONDS = 10.0


class RpcClient:
    """A process in the lab that makes one call after the other.

    For calls at the same time have several of them.
    """

    def __init__(self, *, namespace: str, conf: Path, log: Path) -> None:
        self._log = log
        command = [
            *[sys.executable, "-m", "flatnet.lab.call"],
            *["--config-file", str(conf)],
        ]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*namespaces.inside(namespace, as_user(None)), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def call(self, method: str, **arguments: Any) -> Any:
        """Return what a method of `flatnet.rpc.NetworkAPI` returns.

        :raises FlatnetError: what the method raised, of the same class
        :raises LabError: it raised something else, or the process ended
        """
        request = {"method": method, "arguments": arguments}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LabError(
                f"{method}: the caller ended\n{log_tail(self._log)}"
            )
        answer = json.loads(line)
        if "error" not in answer:
            return answer["answer"]
        kind = getattr(exceptions, answer["error"], None)
        if kind is None:
            raise LabError(f"{method}: {answer['error']}: {answer['text']}")
        raise kind(answer["text"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
