"""A service of nova's on the wire: what it sends, and what it is to get."""

import json

import oslo_messaging as messaging

# Of Train: most of it means nothing to us.
CONTEXT = json.loads("""{
 "user": "u", "tenant": "p", "user_id": "u", "project_id": "p",
 "system_scope": null, "project": "p", "domain": null, "user_domain": null,
 "project_domain": null, "is_admin": true, "read_only": false,
 "show_deleted": false, "auth_token": null, "request_id": "req-1",
 "global_request_id": null, "resource_uuid": null, "roles": ["admin"],
 "user_identity": "u p - - -", "is_admin_project": true,
 "read_deleted": "no", "remote_address": "192.0.2.9", "quota_class": null,
 "timestamp": "2019-11-05T12:30:00.000000", "user_name": null,
 "project_name": null, "service_catalog": [], "a_key_of_later": [1]}""")
# By the caps of `[upgrade_levels] network`: when each came to send objects.
PLAIN, MIXED, OBJECTS = "grizzly", "icehouse", "train"
CAPS = (PLAIN, MIXED, OBJECTS)


def an_object(name, **data):
    """An object of nova's in its dict form."""
    return {
        "nova_object.name": name,
        "nova_object.namespace": "nova",
        "nova_object.version": "1.2",
        "nova_object.changes": sorted(data),
        "nova_object.data": data,
    }


class Nova:
    """A service of nova's under a cap, about one instance."""

    def __init__(self, broker, cap, instance):
        target = messaging.Target(topic="network", version="1.0")
        self._client = messaging.get_rpc_client(broker, target, timeout=20)
        self._cap, self._instance = cap, instance
        self._uuid = {"instance_id": instance.uuid}
        self._common = {"rxtx_factor": 1.0, "host": instance.host}
        self._object = an_object(
            "Instance",
            id=instance.id,
            uuid=instance.uuid,
            task_state=None,
            host=instance.host,
            project_id=instance.project_id,
            # Whatever else there is, objects within it too.
            flavor=an_object("Flavor", id=1, rxtx_factor=1.0),
        )

    def send(self, version, method, *, to=None, **arguments):
        """Ask one host, or any; the answer is one of JSON."""
        where = {} if to is None else {"server": to}
        answer = self._client.prepare(version=version, **where).call(
            CONTEXT, method, **arguments
        )
        assert json.loads(json.dumps(answer)) == answer
        return answer

    def allocate(self, *wanted):
        requested = [list(pair) for pair in wanted] or None
        if self._cap == OBJECTS:
            found = [
                an_object("NetworkRequest", network_id=network, address=ip)
                for network, ip in wanted
            ]
            requested = an_object("NetworkRequestList", objects=found)
        return self.send(
            "1.13" if self._cap == OBJECTS else "1.9",
            "allocate_for_instance",
            **self._uuid,
            **self._common,
            project_id=self._instance.project_id,
            requested_networks=requested,
            vpn=False,
            macs=None,
        )

    def information(self, to=None):
        return self.send(
            "1.9",
            "get_instance_nw_info",
            to=to,
            **self._uuid,
            **self._common,
            project_id=self._instance.project_id,
        )

    def set_up(self, host, *, teardown=False):
        """The one call that names the instance by its integer id."""
        named = {"instance": self._object} if self._cap == OBJECTS else {}
        return self.send(
            "1.16" if named else "1.0",
            "setup_networks_on_host",
            instance_id=self._instance.id,
            host=host,
            teardown=teardown,
            **named,
        )

    def add(self, network):
        return self.send(
            "1.9",
            "add_fixed_ip_to_instance",
            **self._uuid,
            **self._common,
            network_id=network,
        )

    def remove(self, address):
        return self.send(
            "1.9",
            "remove_fixed_ip_from_instance",
            **self._uuid,
            **self._common,
            address=address,
        )

    def migrate(self, step, dest):
        return self.send(
            "1.2",
            f"migrate_instance_{step}",
            instance_uuid=self._instance.uuid,
            rxtx_factor=1.0,
            project_id=self._instance.project_id,
            source=self._instance.host,
            dest=dest,
            floating_addresses=[],
        )

    def deallocate(self):
        plain = {"host": self._instance.host, **self._uuid, "project_id": "p"}
        version, arguments = {
            PLAIN: ("1.0", plain),
            MIXED: ("1.10", {**plain, "requested_networks": None}),
            # Its own version is 1.11: it says so only if told that networks
            # are multi-host.
            OBJECTS: ("1.0", {"instance": self._object}),
        }[self._cap]
        if self._cap == OBJECTS:
            arguments["requested_networks"] = None
        return self.send(version, "deallocate_for_instance", **arguments)


# One interface with what differs left out.
_ANSWER = """[{
 "id": null, "address": null, "devname": null, "network": {
  "id": null, "bridge": "br100", "label": "private", "subnets": [
   {"cidr": "10.0.0.0/24", "dns": [], "routes": [], "version": 4,
    "gateway": {"address": "10.0.0.1", "type": "gateway", "version": 4,
                "meta": {}},
    "ips": [], "meta": {"dhcp_server": "10.0.0.1"}},
   {"cidr": null, "dns": [], "routes": [], "version": null,
    "gateway": {"address": null, "type": "gateway", "version": null,
                "meta": {}},
    "ips": [], "meta": {}}],
  "meta": {"tenant_id": null, "mtu": 1500, "should_create_bridge": true,
           "bridge_interface": null, "multi_host": true}},
 "type": "bridge", "details": {}, "ovs_interfaceid": null,
 "qbh_params": null, "qbg_params": null, "active": true,
 "vnic_type": "normal", "profile": null, "preserve_on_delete": false,
 "meta": {}}]"""
_FIXED = {"type": "fixed", "version": 4, "meta": {}, "floating_ips": []}


def whole(found, network, *addresses):
    """NetworkInfo as nova has it, with the uuid and MAC of what was found."""
    wanted = json.loads(_ANSWER)
    (vif,), (own,) = wanted, found
    vif |= {"id": own["id"], "address": own["address"]}
    vif["devname"] = f"tap{own['id'][:11]}"
    vif["network"]["id"] = network
    vif["network"]["subnets"][0]["ips"] = [
        {"address": each, **_FIXED} for each in addresses
    ]
    return wanted
