"""Options: what can be written in several ways is read in one."""

import pytest
from oslo_config import cfg

from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.config import conf
from flatnet.exceptions import ConfigurationError
from tests.builders import interface, snapshot
from tests.planned import host_plan


def settings(path, *lines):
    path.write_text("\n".join(["[DEFAULT]", *lines, ""]))
    options = cfg.ConfigOpts()
    conf.register(options)
    options(["--config-file", str(path)], default_config_files=[])
    return conf.settings(options)


def test_what_can_be_written_otherwise_stops_no_pass(tmp_path):
    found = settings(
        tmp_path / "flatnet.conf",
        "host = node1",
        "routing_source_ip = 198.51.100.1",
        "dns_server = 2001:DB8::1",
        "dns_server = ::FFFF:192.0.2.1",
        "dmz_cidr = 10.128.0.0/255.255.255.0,10.129.0.1",
    )
    assert found.dns_server == ("2001:db8::1", "::ffff:c000:201")
    assert found.dmz_cidr == ("10.128.0.0/24", "10.129.0.1/32")
    plan = host_plan(snapshot(interfaces=(interface(),)), found, {})
    assert checked(plan, Passed()) == (plan, ())


def test_nova_s_name_for_how_long_an_address_rests_is_heard(tmp_path):
    path = tmp_path / "flatnet.conf"
    before = "fixed_ip_disassociate_timeout = 30"
    assert settings(path, before).address_quarantine == 30
    found = settings(path, before, "address_quarantine = 40")
    assert found.address_quarantine == 40


def test_no_device_to_translate_at_is_named(tmp_path):
    path = tmp_path / "flatnet.conf"
    with pytest.raises(ConfigurationError, match="public_interface is empty"):
        settings(path, "public_interface =", "routing_source_ip = 192.0.2.1")
    settings(path, "public_interface =", "routing_source_ip =")


@pytest.mark.parametrize(
    "line",
    [
        "dns_server = fe80::1%eth0",
        "host =",
        "host = br\u00fccke",
        "forward_bridge_interface = eth+",
        "rpc_error_module = nova/exception",
        "rpc_error_module =",
        "port_rate = 1",
    ],
)
def test_what_no_plan_could_say_is_named(tmp_path, line):
    """Else it is accepted, and each pass is refused once a guest comes."""
    name, _, value = map(str.strip, line.partition("="))
    path = tmp_path / "flatnet.conf"
    with pytest.raises(ConfigurationError) as caught:
        settings(path, line)
    assert f"{name} = {value!r} in {path}" in str(caught.value)
