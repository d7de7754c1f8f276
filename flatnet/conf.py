"""From oslo.config to the frozen Settings that all other layers get.

Nothing outside `flatnet.cmd` sees oslo.config: what is read here is whole
and checked.
"""

import grp
import ipaddress
import pwd
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from flatnet.exceptions import ConfigurationError
from flatnet.options import (
    DATABASE_OPTIONS,
    DEFAULT_OPTIONS,
    FLAT_MANAGER,
    MANAGER_ALIASES,
)
from flatnet.settings import Settings


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
    for name in ("dmz_cidr", "force_snat_range"):
        for value in values[name]:
            _check_with(conf, name, value, ipaddress.IPv4Network, "a cidr")
    for value in values["dns_server"]:
        _check_with(
            conf, "dns_server", value, ipaddress.ip_address, "an address"
        )
    for name in ("routing_source_ip", "metadata_host"):
        if values[name]:
            _check_with(
                conf, name, values[name], ipaddress.IPv4Address, "an address"
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
