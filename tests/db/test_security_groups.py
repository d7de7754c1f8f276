"""Security groups and rules: what is accepted, what is refused."""

import pytest

from flatnet.db import models, security_groups
from flatnet.exceptions import (
    Conflict,
    InvalidSecurityGroupRule,
    NotFound,
    SecurityGroupExists,
    SecurityGroupInUse,
    SecurityGroupNotFound,
)
from flatnet.plan.openings import openings
from flatnet.state.rows import SecurityRule
from tests.db.conftest import contents, rows


def a_group(database, **values):
    """A group; whatever is not given is `web` of project demo."""
    defaults = {"name": "web", "project_id": "demo"}
    return security_groups.create(database, **{**defaults, **values})


def test_group_is_found_by_id_and_name(database):
    group = a_group(database, description="for the web")
    other = a_group(database, name="db")
    foreign = a_group(database, project_id="other")
    assert security_groups.list_all(database) == (group, other, foreign)
    assert security_groups.list_all(database, "other") == (foreign,)
    assert security_groups.get(database, group.id) == group
    assert security_groups.get(database, "db") == other
    with pytest.raises(Conflict, match=f"{group.id}, {foreign.id}"):
        security_groups.get(database, "web")
    with pytest.raises(SecurityGroupNotFound, match="none"):
        security_groups.get(database, "none")


def test_second_group_of_a_name_is_refused(database):
    a_group(database)
    with pytest.raises(SecurityGroupExists, match="web"):
        a_group(database)


ANYWHERE = "0.0.0.0/0"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, (None, None, None, ANYWHERE)),
        ({"family": 4}, (None, None, None, ANYWHERE)),
        ({"family": 6}, (None, None, None, "::/0")),
        (
            {"protocol": "TCP", "from_port": 1, "to_port": 65535},
            ("tcp", 1, 65535, ANYWHERE),
        ),
        (
            {"protocol": "tcp", "from_port": 0, "to_port": 65535},
            ("tcp", 0, 65535, ANYWHERE),
        ),
        ({"protocol": "17"}, ("udp", None, None, ANYWHERE)),
        ({"protocol": "47"}, ("47", None, None, ANYWHERE)),
        ({"protocol": "GRE"}, ("gre", None, None, ANYWHERE)),
        ({"protocol": "vrrp"}, ("vrrp", None, None, ANYWHERE)),
        ({"protocol": "esp", "family": 6}, ("esp", None, None, "::/0")),
        ({"protocol": "ah"}, ("ah", None, None, ANYWHERE)),
        (
            {"protocol": "sctp", "from_port": 7, "to_port": 9},
            ("sctp", 7, 9, ANYWHERE),
        ),
        ({"protocol": "icmp"}, ("icmp", -1, -1, ANYWHERE)),
        (
            {"protocol": "icmp", "from_port": 8, "to_port": 0},
            ("icmp", 8, 0, ANYWHERE),
        ),
        (
            {"protocol": "icmpv6", "cidr": "fd00::/64"},
            ("icmpv6", -1, -1, "fd00::/64"),
        ),
        (
            {"protocol": "icmp", "from_port": 128, "cidr": "fd00::/64"},
            ("icmpv6", 128, -1, "fd00::/64"),
        ),
        ({"protocol": "58"}, ("icmpv6", -1, -1, "::/0")),
        ({"protocol": "ipv6-nonxt"}, ("ipv6-nonxt", None, None, "::/0")),
        ({"cidr": "192.0.2.1"}, (None, None, None, "192.0.2.1/32")),
        ({"cidr": "10.0.0.1/8"}, (None, None, None, "10.0.0.0/8")),
    ],
)
def test_rule_is_kept_as_it_will_be_used(database, given, kept):
    group = a_group(database)
    rule = security_groups.create_rule(database, group=group.id, **given)
    assert (rule.protocol, rule.from_port, rule.to_port, rule.cidr) == kept
    assert security_groups.get(database, "web").rules == (rule,)
    assert openings(rule, {}) != ()
    security_groups.delete_rule(database, rule.id)
    with pytest.raises(NotFound, match=str(rule.id)):
        security_groups.delete_rule(database, rule.id)


@pytest.mark.parametrize(
    "given",
    [
        {"protocol": "ten"},
        {"protocol": "256"},
        {"protocol": "-1"},
        {"protocol": ""},
        {"protocol": "0"},
        {"protocol": "ip"},
        {"protocol": "hopopt", "family": 6},
        {"protocol": "mptcp"},
        {"protocol": "tcp", "from_port": 80},
        {"protocol": "tcp", "from_port": -1, "to_port": -1},
        {"protocol": "tcp", "from_port": 80, "to_port": 79},
        {"protocol": "udp", "from_port": 1, "to_port": 65536},
        {"protocol": "sctp", "from_port": 1, "to_port": 65536},
        {"protocol": "47", "from_port": 1, "to_port": 2},
        {"protocol": "gre", "from_port": 1, "to_port": 2},
        {"from_port": 1, "to_port": 2},
        {"protocol": "icmp", "from_port": 255},
        {"protocol": "icmp", "from_port": 8, "to_port": 256},
        {"protocol": "icmp", "from_port": 8, "to_port": -2},
        {"protocol": "icmp", "to_port": 3},
        {"protocol": "icmpv6", "from_port": 255},
        {"protocol": "icmpv6", "cidr": "10.0.0.0/8"},
        {"protocol": "ah", "cidr": "fd00::/64"},
        {"protocol": "ipv6-frag"},
        {"cidr": "10.0.0.0/33"},
        {"cidr": "10.0.0.0/255.0.0.0"},
        {"cidr": "ten"},
        {"cidr": ""},
    ],
)
def test_bad_rule_is_refused_and_changes_nothing(database, given):
    """And a host that reads such a row, as plain SQL writes it, alike."""
    group = a_group(database)
    before = contents(database)
    with pytest.raises(InvalidSecurityGroupRule) as caught:
        security_groups.create_rule(database, group=group.id, **given)
    assert "\n" not in str(caught.value)
    assert contents(database) == before
    family = given.pop("family", 6 if "ipv6" in str(given) else 4)
    row = {"cidr": "::/0" if family == 6 else ANYWHERE, **given}
    with pytest.raises(InvalidSecurityGroupRule) as again:
        openings(SecurityRule(1, **row), {})
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"cidr": "10.0.0.0/8", "source_group": "web"},
        {"cidr": "10.0.0.0/8", "family": 6},
        {"cidr": "fd00::/64", "family": 4},
        {"source_group": "web", "family": 4},
        {"protocol": "icmpv6", "family": 4},
    ],
)
def test_rule_that_contradicts_itself(database, given):
    a_group(database)
    before = contents(database)
    with pytest.raises(InvalidSecurityGroupRule):
        security_groups.create_rule(database, group="web", **given)
    assert contents(database) == before


def test_rule_about_an_unknown_group(database):
    a_group(database)
    for given in ({"group": "no"}, {"group": "web", "source_group": "no"}):
        with pytest.raises(SecurityGroupNotFound, match="no"):
            security_groups.create_rule(database, **given)


def test_group_that_a_rule_names_stays(database):
    web, db = a_group(database), a_group(database, name="db")
    for group in (web, db):
        security_groups.create_rule(
            database, group=group.id, source_group=web.id
        )
    rule = security_groups.get(database, "db").rules[0]
    with pytest.raises(SecurityGroupInUse, match=f"rule {rule.id}"):
        security_groups.delete(database, web.id)
    security_groups.delete(database, db.id)
    security_groups.delete(database, web.id)
    assert rows(database, models.security_group_rules) == []
