"""The near end of `flatnet.lab.call`: RPC calls from outside the lab."""

from pathlib import Path
from typing import Any

from flatnet import exceptions
from flatnet.lab.conversation import Conversation
from flatnet.lab.namespaces import LabError

_PROGRAM = "flatnet.lab.call"


class RpcClient:
    """A process in the lab that makes one call after the other.

    For calls at the same time have several of them.
    """

    def __init__(self, *, namespace: str, conf: Path, log: Path) -> None:
        self._far = Conversation(
            _PROGRAM, "--config-file", str(conf), namespace=namespace, log=log
        )
        self.close = self._far.close

    def call(self, method: str, **arguments: Any) -> Any:
        """Return what a method of `flatnet.rpc.NetworkAPI` returns.

        :raises FlatnetError: what the method raised, of the same class
        :raises LabError: it raised something else, or the process ended
        """
        answer = self._far.ask({"method": method, "arguments": arguments})
        if "error" not in answer:
            return answer["answer"]
        kind = getattr(exceptions, answer["error"], None)
        if kind is None:
            raise LabError(f"{method}: {answer['error']}: {answer['text']}")
        raise kind(answer["text"])
