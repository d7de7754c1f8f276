"""Ask a host's daemon for a sign of life: CONFIG HOST; status 0 if any."""

import sys

from oslo_config import cfg

from flatnet import rpc
from flatnet.exceptions import BrokerUnavailable

# Seconds: a message that a restarting broker lost is not waited for.
PATIENCE = 3


def main():
    config, host = sys.argv[1:]
    cfg.CONF(["--config-file", config], project="flatnet")
    api = rpc.NetworkAPI(rpc.transport(cfg.CONF), PATIENCE)
    try:
        api.ping({}, arg="?", host=host)
    except BrokerUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
