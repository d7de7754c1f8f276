"""From oslo.config to the frozen Settings that all other layers get.

Called `conf` as oslo.config calls what it reads; which options there are
stands in `flatnet.config.options`.  Nothing outside `flatnet.cmd` sees
oslo.config: what is read here is whole and checked.
"""

import grp
import ipaddress
import pwd
import re
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from flatnet.config.options import (
    DATABASE_OPTIONS,
    DEFAULT_OPTIONS,
    FLAT_MANAGER,
    MANAGER_ALIASES,
)
from flatnet.config.settings import Settings
from flatnet.exceptions import ConfigurationError
from flatnet.state.rows import RATES

_DEVICE_NAME_LENGTH = 15


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """All options by group, for oslo-config-generator."""
    return [("DEFAULT", DEFAULT_OPTIONS), ("database", DATABASE_OPTIONS)]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to `conf`, an oslo.config ConfigOpts."""
    conf.register_opts(DEFAULT_OPTIONS)
    conf.register_opts(DATABASE_OPTIONS, group="database")


def register_cli(conf: cfg.ConfigOpts) -> None:
    """Let every option of [DEFAULT] be given as `--name value` too."""
    conf.register_cli_opts(DEFAULT_OPTIONS)


def settings(conf: cfg.ConfigOpts) -> Settings:
    """Return the Settings that `conf` holds.

    :raises ConfigurationError: one line naming option, value and file
    """
    values: dict[str, Any] = {}
    for option in DEFAULT_OPTIONS:
        if option.name == "network_manager":
            continue
        value = _read(conf, option.name)
        if isinstance(value, list):
            value = tuple(str(item) for item in value)
        values[option.name] = value
    manager = _read(conf, "network_manager")
    values["dhcp"] = MANAGER_ALIASES.get(manager, manager) != FLAT_MANAGER
    values["connection"] = conf.database.connection
    _check(conf, values)
    return Settings(**values)


def _read(conf: cfg.ConfigOpts, name: str) -> Any:
    try:
        return getattr(conf, name)
    except (cfg.ConfigFileValueError, cfg.TemplateSubstitutionError) as error:
        raise ConfigurationError(str(error).splitlines()[0]) from error


def _check(conf: cfg.ConfigOpts, values: dict[str, Any]) -> None:
    """Check what oslo.config's types cannot express."""
    for name, kind, what in (
        ("dmz_cidr", ipaddress.IPv4Network, "a cidr"),
        ("force_snat_range", ipaddress.IPv4Network, "a cidr"),
        ("dns_server", _address, "an address"),
    ):
        for value in values[name]:
            _check_with(conf, name, value, kind, what)
        # As all programs write them: in small letters, with a prefix length.
        values[name] = tuple(str(kind(value)) for value in values[name])
    for name, check, what in _SINGLE:
        _check_with(conf, name, str(values[name]), check, what)
    for name, check, what in _OPTIONAL:
        if values[name]:
            _check_with(conf, name, values[name], check, what)
    if values["routing_source_ip"] and not values["public_interface"]:
        raise ConfigurationError(
            f"{where(conf, 'public_interface')}: public_interface is empty, "
            "so that nobody knows where guests' addresses are to become "
            "routing_source_ip: name the device, or empty that option too"
        )
    for value in values["forward_bridge_interface"]:
        _check_with(
            conf, "forward_bridge_interface", value, _device, "a device's name"
        )


def _address(
    value: str,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address that means the same on every device and host."""
    if "%" in value:
        raise ValueError("one with a zone is of a single device")
    return ipaddress.ip_address(value)


def _module(value: str) -> None:
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("names with dots between them are needed")


def _host(value: str) -> None:
    if not re.fullmatch(r"[!-~]([ -~]{0,253}[!-~])?", value):
        raise ValueError("1 to 255 printable ASCII characters are needed")


def _regex(value: str) -> object:
    try:
        return re.compile(value)
    except re.error as error:
        raise ValueError(error) from error


def _rate(value: str) -> None:
    if int(value) and int(value) not in RATES:
        raise ValueError(f"0, for none, or at least {RATES[0]} is needed")


def _bridge(name: str) -> None:
    """Check the name of a device that is to be made."""
    _device(name)
    if len(name.encode()) > _DEVICE_NAME_LENGTH:
        raise ValueError(
            f"Linux takes {_DEVICE_NAME_LENGTH} characters at most"
        )


def _device(name: str) -> None:
    """Check a name as all programs do; one that is longer can be an altname.

    :raises ValueError: it cannot name a device
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(
            "letters, digits, underscores, dots and hyphens can be in one"
        )


# What options of one value are to be, and those of them that may be empty.
_Check = tuple[str, Callable[[str], object], str]
_SINGLE: tuple[_Check, ...] = (
    ("host", _host, "a host's name"),
    ("rpc_error_module", _module, "a Python module"),
    ("iptables_top_regex", _regex, "a regular expression"),
    ("iptables_bottom_regex", _regex, "a regular expression"),
    ("flat_network_bridge", _bridge, "a bridge's name"),
    ("port_rate", _rate, "a rate in bit/s"),
)
_OPTIONAL: tuple[_Check, ...] = (
    ("routing_source_ip", ipaddress.IPv4Address, "an address"),
    ("metadata_host", ipaddress.IPv4Address, "an address"),
    ("flat_interface", _device, "a device's name"),
    ("public_interface", _device, "a device's name"),
)


def check_users(conf: cfg.ConfigOpts, values: Settings) -> None:
    """Check that the users exist who are to open taps on this host.

    Not for the operator's tool, which may run where they do not.

    :raises ConfigurationError: one line naming option, value and file
    """
    for name, value, known in (
        ("tap_owner", values.tap_owner, pwd.getpwnam),
        ("tap_group", values.tap_group, grp.getgrnam),
    ):
        _check_with(conf, name, value, _named(known), "known here")


def _named(known: Callable[[str], object]) -> Callable[[str], object]:
    """Return a look-up of names whose error is a ValueError."""

    def look_up(name: str) -> object:
        try:
            return known(name)
        except KeyError as error:
            raise ValueError(error.args[0]) from error

    return look_up


def _check_with(
    conf: cfg.ConfigOpts,
    name: str,
    value: str,
    parse: Callable[[str], object],
    wanted: str,
) -> None:
    try:
        parse(value)
    except ValueError as error:
        raise ConfigurationError(
            f"{name} = {value!r} in {where(conf, name)} is not {wanted}: "
            f"{error}"
        ) from error


def where(conf: cfg.ConfigOpts, name: str, group: str | None = None) -> str:
    """Say where the value of an option was set, for an error text."""
    location = conf.get_location(name, group)
    if location is None:
        return "the defaults"
    if location.location is cfg.Locations.user:
        return str(location.detail)
    if location.location is cfg.Locations.command_line:
        return "the command line"
    return "the defaults"
