"""A compute service that calls, one after the other or many at once.

It runs in the broker's namespace, and is asked and answers
(`flatnet.lab.conversation`):

    {"to": "network", "method": "allocate_for_instance", "calls": [{...}],
     "at_once": 1, "least": 5, "seconds": 20}
    {"seconds": [...], "wall": 1.5, "answers": [...], "errors": [...]}

`calls` are the arguments of each call; where `to` has several topics, with
commas between, they go to one after the other.  When `seconds` have passed no
further one is made, but `least` are.  Times are seconds.
"""

import itertools
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import oslo_messaging as messaging

from flatnet import rpc
from flatnet.exceptions import FlatnetError
from flatnet.lab import answering
from flatnet.lab.conversation import Json

# The topics of daemons and of `flatnet.lab.bench.floor`.
NETWORK, FLOOR = rpc.TOPIC, "floor"
Call = Callable[[Json], Any]


def main() -> int:
    """Answer until the input ends."""
    broker = answering.broker()
    daemons = rpc.NetworkAPI(broker)

    @cache
    def floor(topic: str) -> messaging.RPCClient:
        target = messaging.Target(topic=topic, server=topic)
        return messaging.get_rpc_client(broker, target)

    def answer(request: Json) -> Json:
        method = request["method"]
        topics = itertools.cycle(request["to"].split(","))

        def call(arguments: Json) -> Any:
            topic = next(topics)
            if topic != NETWORK:
                return floor(topic).call({}, method, **arguments)
            return getattr(daemons, method)({}, **arguments)

        return _made(call, request)

    return answering.hold(answer)


def _made(call: Call, request: Json) -> Json:
    """Make the calls of a request, and tell how long each took."""
    start = time.monotonic()
    end = start + request["seconds"]

    def one(number: int, arguments: Json) -> Json:
        if number >= request["least"] and time.monotonic() > end:
            return {}
        return _timed(call, arguments)

    calls = request["calls"]
    with ThreadPoolExecutor(request["at_once"]) as pool:
        done = list(pool.map(one, range(len(calls)), calls))
    made = [each for each in done if each]
    return {
        "seconds": [each["seconds"] for each in made],
        "wall": time.monotonic() - start,
        "answers": [each["answer"] for each in made if "answer" in each],
        "errors": [each["error"] for each in made if "error" in each],
    }


def _timed(call: Call, arguments: Json) -> Json:
    start = time.monotonic()
    try:
        said = {"answer": call(arguments)}
    except (FlatnetError, messaging.MessagingException) as error:
        # A daemon's errors have its traceback in their str(), not in args.
        said = {"error": f"{type(error).__name__}: {error.args[0]}"}
    return {"seconds": time.monotonic() - start, **said}


if __name__ == "__main__":
    sys.exit(main())
