"""Casts about leases, as nova-dhcpbridge sends them."""

import logging

import pytest
from test_rpc import CONTEXT, api, broker, database, new_instance, node

from flatnet import exceptions
from flatnet.db import models
from flatnet.leases import Leases
from tests.db.conftest import rows
from tests.waiting import eventually

__all__ = ("api", "broker", "database", "node")


def leased(database):
    found = rows(database, models.fixed_ips, address="10.0.0.2")
    return [bool(row["leased"]) for row in found]


def test_they_are_noted_and_nobody_waits(api, node, database):
    here = {"instance_id": new_instance(database), "host": "node1"}
    (vif,) = api.allocate_for_instance(CONTEXT, **here)
    mine = {"address": "10.0.0.2", "mac": vif["address"].upper()}
    other = {**mine, "mac": "fa:16:3e:00:00:99"}
    assert api.lease_fixed_ip(CONTEXT, **mine) is None
    eventually(lambda: leased(database) == [True])
    assert api.release_fixed_ip(CONTEXT, **other) is None
    assert api.lease_fixed_ip(CONTEXT, address="10.8.8.8", mac="") is None
    assert api.release_fixed_ip(CONTEXT, **mine) is None
    eventually(lambda: leased(database) == [False])


def test_what_cannot_be_is_one_line_of_the_log(database, caplog):
    noted = Leases(database)
    with caplog.at_level(logging.INFO, logger="flatnet.leases"):
        noted.release("10.8.8.8", "fa:16:3e:00:00:99")
        noted.lease("10.8.8.8", None)
        noted.release("10.0.0.2", None)
    assert [each.levelname for each in caplog.records] == ["INFO"] * 3
    assert "lease of '10.8.8.8' by nobody" in caplog.text
    with pytest.raises(exceptions.InvalidMacAddress):
        noted.lease("10.0.0.2", "nonsense")
