"""Calls daemons over RPC as a compute service would, for who cannot itself.

It runs in the broker's namespace, and is asked and answers (`conversation`):

    {"method": "allocate_for_instance", "arguments": {...}}
    {"answer": [...]}  or  {"error": "NoMoreFixedIps", "text": "..."}
"""

import sys
from functools import partial

from flatnet import rpc
from flatnet.exceptions import FlatnetError
from flatnet.lab import answering
from flatnet.lab.conversation import Json


def main() -> int:
    """Answer until the input ends."""
    api = rpc.NetworkAPI(answering.broker())
    return answering.hold(partial(_answer, api))


def _answer(api: rpc.NetworkAPI, request: Json) -> Json:
    try:
        method = getattr(api, request["method"])
        return {"answer": method({}, **request["arguments"])}
    except (FlatnetError, AttributeError, TypeError) as error:
        # What a daemon raised comes as a class derived for the occasion,
        # whose str() has the daemon's traceback.
        name = type(error).__name__.removesuffix("_Remote")
        return {"error": name, "text": str(error.args[0])}


if __name__ == "__main__":
    sys.exit(main())
