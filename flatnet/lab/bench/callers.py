"""A compute service that calls, one after the other or many at once.

The lab's broker listens in a namespace, so this program runs in there.  It
reads requests from its input, one JSON object per line, and answers each with
a line of its own:

    {"to": "network", "method": "allocate_for_instance", "calls": [{...}],
     "at_once": 1, "least": 5, "seconds": 20}
    {"seconds": [...], "wall": 1.5, "answers": [...], "errors": [...]}

`calls` are the arguments of each call; when `seconds` have passed no further
one is made, but `least` are.  Times are seconds.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from flatnet import conf, rpc
from flatnet.exceptions import FlatnetError

# The topics of daemons and of `flatnet.lab.bench.floor`.
NETWORK, FLOOR = rpc.TOPIC, "floor"
Json = dict[str, Any]
Call = Callable[[Json], Any]


def main() -> int:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    conf.register(cfg.CONF)
    cfg.CONF(sys.argv[1:], project="flatnet", default_config_dirs=[])
    broker = rpc.transport(cfg.CONF)
    target = messaging.Target(topic=FLOOR, server=FLOOR)
    floor = messaging.get_rpc_client(broker, target)
    daemons = rpc.NetworkAPI(broker)
    for line in sys.stdin:
        request = json.loads(line)
        method = request["method"]
        if request["to"] == FLOOR:

            def call(arguments: Json, method: str = method) -> Any:
                return floor.call({}, method, **arguments)
        else:

            def call(arguments: Json, method: str = method) -> Any:
                return getattr(daemons, method)({}, **arguments)

        print(json.dumps(_answer(call, request)), flush=True)
    return 0


def _answer(call: Call, request: Json) -> Json:
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
