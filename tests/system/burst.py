"""Allocate many instances at once: CONFIG UUID..., prints the addresses."""

import sys
from concurrent.futures import ThreadPoolExecutor

from oslo_config import cfg

from flatnet import rpc


def main():
    config, *uuids = sys.argv[1:]
    cfg.CONF(["--config-file", config], project="flatnet")
    api = rpc.NetworkAPI(rpc.transport(cfg.CONF), 60)

    def address(uuid):
        [vif] = api.allocate_for_instance({}, instance_id=uuid, host="node1")
        return vif["network"]["subnets"][0]["ips"][0]["address"]

    with ThreadPoolExecutor(len(uuids)) as pool:
        print(*pool.map(address, uuids), sep="\n")


if __name__ == "__main__":
    main()
