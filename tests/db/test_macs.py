"""Random MACs: drawn before anything is read, and again where one is taken."""

import pytest

from flatnet.db import models, vifs
from flatnet.exceptions import MacAddressInUse
from tests.db.conftest import a_network, allocate, an_instance, contents, rows

FIRST, SECOND, THIRD = (f"fa:16:3e:00:00:0{n}" for n in (1, 2, 3))


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn next, in this order; then always the last."""
    macs = [FIRST]
    monkeypatch.setattr(
        vifs, "random_mac", lambda: macs.pop(0) if macs[1:] else macs[0]
    )
    return macs


def test_one_that_is_taken_is_drawn_again(database, drawn):
    a_network(database)
    allocate(database, an_instance(database))
    drawn[:] = [FIRST, FIRST, SECOND]
    instance = an_instance(database)
    allocate(database, instance)
    (vif,) = rows(
        database, models.virtual_interfaces, instance_uuid=instance.uuid
    )
    assert vif["address"] == SECOND


def test_so_often_and_no_more(database, drawn):
    a_network(database)
    allocate(database, an_instance(database))
    drawn[:] = [FIRST, FIRST, SECOND]
    instance = an_instance(database)
    before = contents(database)
    with pytest.raises(MacAddressInUse, match="2 random MAC"):
        allocate(database, instance, mac_attempts=2)
    assert contents(database) == before


def test_one_that_is_named_is_nobody_elses(database, drawn):
    """Nor that of the other interface of the same instance."""
    a_network(database)
    a_network(database, cidr="10.1.0.0/24", bridge="br101")
    drawn[:] = [FIRST, FIRST, SECOND, THIRD]
    instance = an_instance(database)
    allocate(database, instance, macs=[FIRST])
    has = rows(
        database, models.virtual_interfaces, instance_uuid=instance.uuid
    )
    assert [row["address"] for row in has] == [FIRST, SECOND]
