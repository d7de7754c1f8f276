"""NetworkInfo: what a compute service is told about an instance's VIFs.

A list of dicts in nova's model, JSON primitives only, with the corrections
of the contract: the gateway is the one that guests really use, the mtu is
there, `devname` is the device's name and `active` says that it is plugged.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flatnet.config.settings import Settings
from flatnet.plan.addresses import of_family
from flatnet.plan.bridge import DEFAULT_MTU, uplink_name
from flatnet.plan.ipv6 import router as router_of
from flatnet.plan.port import port_name
from flatnet.plan.usable_rows import usable_mtu
from flatnet.state.rows import Interface, Network
from flatnet.state.shared_networks import has_one_server

Json = dict[str, Any]


def network_info(
    attached: tuple[tuple[Interface, Network, str | None], ...],
    settings: Settings,
    *,
    host: str,
    mtus: Mapping[str, int],
    plugged: Collection[str],
) -> list[Json]:
    """Return NetworkInfo for an instance.

    `attached` has each interface with its network and the address of the
    bridge of its `host` there, or none; one without the default route has no
    gateway.  `plugged` are the uuids of interfaces whose ports are on their
    bridge, `mtus` what the host uses by bridge, where the row has none
    that can be used; who has no such bridge takes it for one without uplink.
    """
    return [
        {
            "id": interface.uuid,
            "address": interface.mac,
            "network": _network(
                *(interface, network, settings, mtus),
                gateways=_Gateways.of(network, settings, host, host_address),
            ),
            "type": "bridge",
            "details": {},
            "devname": port_name(interface.uuid),
            **dict.fromkeys(("ovs_interfaceid", "qbh_params", "qbg_params")),
            "active": interface.uuid in plugged,
            "vnic_type": "normal",
            "profile": None,
            "preserve_on_delete": False,
            "meta": {},
        }
        for interface, network, host_address in attached
    ]


@dataclass(frozen=True)
class _Gateways:
    """The addresses of the bridge that serves an interface, or none."""

    v4: str | None = None
    v6: str | None = None

    @classmethod
    def of(
        cls,
        network: Network,
        settings: Settings,
        host: str,
        address: str | None,
    ) -> "_Gateways":
        if has_one_server(network):
            host, address = network.host or host, network.dhcp_server
        if not (address and settings.dhcp and network.enable_dhcp):
            return cls()
        six = router_of(host, network) if settings.use_ipv6 else ()
        return cls(address, six[0] if six else None)


def _network(
    interface: Interface,
    network: Network,
    settings: Settings,
    mtus: Mapping[str, int],
    *,
    gateways: _Gateways,
) -> Json:
    six = (a for a in interface.addresses if ":" in a and settings.use_ipv6)
    router = gateways.v6 if interface.has_default_route else None
    meta: Json = {
        "tenant_id": network.project_id,
        "mtu": usable_mtu(network) or mtus.get(network.bridge, DEFAULT_MTU),
    }
    if network.injected:
        meta["injected"] = True
    if settings.dhcp:
        meta["should_create_bridge"] = True
        meta["bridge_interface"] = uplink_name(network, settings)
        meta["multi_host"] = network.multi_host
    return {
        "id": network.uuid,
        "bridge": network.bridge,
        "label": network.label,
        "subnets": [
            _subnet_v4(interface, network, gateways.v4),
            _subnet_v6(interface, network, router, six),
        ],
        "meta": meta,
    }


def _subnet_v4(
    interface: Interface, network: Network, own: str | None
) -> Json:
    gateway = network.gateway
    if own and (network.multi_host or not gateway):
        gateway = own
    if not interface.has_default_route:
        gateway = None
    servers = [each for each in (network.dns1, network.dns2) if each]
    four = (each for each in interface.addresses if ":" not in each)
    return {
        "cidr": network.cidr,
        "dns": [_address(each, "dns") for each in servers],
        "gateway": _address(gateway, "gateway"),
        "ips": _ips(interface, four),
        "routes": [],
        "version": 4,
        "meta": {"dhcp_server": own} if own else {},
    }


def _subnet_v6(
    interface: Interface,
    network: Network,
    own: str | None,
    addresses: Iterable[str],
) -> Json:
    return {
        "cidr": network.cidr_v6,
        "dns": [],
        "gateway": _address(own, "gateway"),
        "ips": _ips(interface, addresses),
        "routes": [],
        "version": 6 if network.cidr_v6 else None,
        "meta": {},
    }


def _ips(interface: Interface, addresses: Iterable[str]) -> list[Json]:
    return [
        {
            **_address(each, "fixed"),
            "floating_ips": [
                _address(floating.address, "floating")
                for floating in interface.floating
                if floating.fixed == each
            ],
        }
        for each in addresses
    ]


def _address(address: str | None, kind: str) -> Json:
    """An address; what is none, in a row that is to be mended, is null."""
    version = next(
        (each for each in (4, 6) if address and of_family((address,), each)),
        None,
    )
    return {
        "address": address if version else None,
        "type": kind,
        "version": version,
        "meta": {},
    }
