"""The far end of a `conversation`: a program that answers in the lab."""

import json
import sys
import warnings
from collections.abc import Callable

import oslo_messaging as messaging
from oslo_config import cfg

from flatnet import rpc
from flatnet.config import conf
from flatnet.lab.conversation import Json


def hold(answer: Callable[[Json], Json]) -> int:
    """Answer until the input ends."""
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
    return 0


def broker() -> messaging.Transport:
    """The lab's broker, where the program's arguments are options."""
    warnings.simplefilter("ignore")
    conf.register(cfg.CONF)
    cfg.CONF(sys.argv[1:], project="flatnet", default_config_dirs=[])
    return rpc.transport(cfg.CONF)
