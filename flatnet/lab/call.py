"""Calls daemons over RPC as a compute service would, for who cannot itself.

The lab's broker listens in a namespace, so this program runs in there.  It
reads requests from its input, one JSON object per line, and answers each
with a line of its own:

    {"method": "allocate_for_instance", "arguments": {...}}
    {"answer": [...]}  or  {"error": "NoMoreFixedIps", "text": "..."}
"""

import json
import sys
import warnings
from typing import Any

from oslo_config import cfg

from flatnet import conf, rpc
from flatnet.exceptions import FlatnetError


def main() -> int:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    conf.register(cfg.CONF)
    cfg.CONF(sys.argv[1:], project="flatnet", default_config_dirs=[])
    api = rpc.NetworkAPI(rpc.transport(cfg.CONF))
    for line in sys.stdin:
        print(json.dumps(_answer(api, json.loads(line))), flush=True)
    return 0


def _answer(api: rpc.NetworkAPI, request: dict[str, Any]) -> dict[str, Any]:
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
