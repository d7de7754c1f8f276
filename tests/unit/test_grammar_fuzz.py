"""Hostile plans: whatever is let through is rendered, and reads as meant.

The lines that come out are matched against a grammar of their own, which
shares nothing with the one that let them through.
"""

import random
import re
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.dhcp.texts import Texts
from flatnet.apply.filter.guard import nft
from flatnet.apply.filter.guard.guard import Guarding
from flatnet.apply.filter.iptables.iptables import Existing, edits
from flatnet.apply.filter.iptables.placement import Placement
from flatnet.apply.filter.iptables.rendering import rules
from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.apply.link import sysctl
from flatnet.apply.link.strangers import Strangers
from flatnet.exceptions import HostSetupError
from flatnet.state.sliced_collections import SlicedSet
from tests.unit.test_grammar import plan

PLANS = 20_000
BATCH = 100
# A run says of the code whether it is right, not of the luck; whoever wants
# other plans counts PLANS up.
SAME_EACH_TIME = {"database": None, "derandomize": True}
BASE = plan()
ATTACKS = (
    "\n",
    "\0",
    " ",
    ";",
    "}",
    '"',
    ",",
    "#",
    "/",
    "..",
    "-",
    "--conf-script=/bin/sh",
    "\n-F FORWARD",
    "flush ruleset\n",
    'include "/etc/shadow"',
    "%eth0",
    "$(id)",
    "\u0663",
    "é",
    "+",
    "*",
    "0x1",
    "A" * 70,
    "",
    "255.255.255.255",
    "::ffff:10.0.0.1",
    "lo",
    "ACCEPT",
)
NUMBERS = (
    *(-(1 << 63), -1, 0, 1, 2, 5, 33, 59, 67, 129, 256, 65536, 70000),
    *(1 << 31, 1 << 32, 1 << 64),
)
# The only word in quotes is our mark.
WORD = r"(?:[A-Za-z0-9_.:/,@!-]+|\"flatnet:[0-9a-f]{16}\")"
RESTORE = re.compile(
    r"\*(filter|mangle|nat|raw)|COMMIT|:flatnet-[A-Za-z0-9-]{1,20} - \[0:0\]"
    rf"|-A flatnet-[A-Za-z0-9-]{{1,20}}( {WORD})+"
    rf"|-I (FORWARD|INPUT|OUTPUT|PREROUTING|POSTROUTING) 1( {WORD})+ "
    rf"-j flatnet-[A-Za-z0-9-]{{1,20}}"
)
ARGUMENT = re.compile(r"dnsmasq|--[a-z-]+(=[][A-Za-z0-9_.:/,!-]*)?")
LINES = {
    "hosts": re.compile(
        r"[0-9a-f:]{17}(,[A-Za-z0-9_.-]+)?,[0-9.]{7,15}(,\[[0-9a-f:]+\])?"
    ),
    "names": re.compile(r"([0-9.]{7,15}|[0-9a-f:]+) [A-Za-z0-9_-]{1,63}"),
    "opts": re.compile(r"(tag:flatnet[0-5][0-9a-f]{2},){6}3"),
}
SET_NAME = (
    r"flatnet-((filtered|every)[46]|open6|g[46]-[0-9]+|p[46]-[0-9a-f]{1,12})"
)
ELEMENT = r'("[A-Za-z0-9_.@-]{1,15}"|[0-9a-fx:.]+)'
NFT_SET = re.compile(
    r"add (set|map) (bridge|inet|arp) flatnet [a-z_0-9]+ \{ [^{}\n]*(elements"
    rf" = \{{ ({ELEMENT}( [.:] )?)+(, ({ELEMENT}( [.:] )?)+)* \}})?; \}}"
)
NFT_OTHER = re.compile(
    r"add chain (bridge|inet|arp) flatnet [a-z_0-9]+( \{ type filter hook "
    r"[a-z]+ priority -?[0-9]+; policy accept; \})?"
    r'|add rule (bridge|inet|arp) flatnet [^\n\\$]+ comment "flatnet:'
    r'[0-9a-f]{12}"'
)
SYSCTL = re.compile(r"/proc/sys/net(/[a-z0-9_]+)*(/[A-Za-z0-9_.@-]+)+")
DEVICE = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_.@-]{0,14}")
OURS = re.compile(r"(tap|vif)[0-9a-f]{8}-[0-9a-f]{2}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# What a rule holds of a plan: devices and networks, between what is fixed.
NFT_FOREIGN = re.compile(r"include|flush|delete|define|\n|\\|\$")


def leaves(value, path=()):
    """The paths to all texts and numbers of a value."""
    if is_dataclass(value):
        for each in fields(value):
            yield from leaves(getattr(value, each.name), (*path, each.name))
    elif isinstance(value, tuple):
        for place, each in enumerate(value):
            yield from leaves(each, (*path, place))
    else:
        yield path


def changed(value, path, new):
    """The value with something else at the end of a path."""
    if not path:
        return new(value)
    step, *rest = path
    if is_dataclass(value):
        return replace(
            value, **{step: changed(getattr(value, step), rest, new)}
        )
    return (
        *value[:step],
        changed(value[step], rest, new),
        *value[step + 1 :],
    )


# Nobody sends how a plan is arranged: who composes it of parts knows.
PATHS = tuple(path for path in leaves(BASE) if "arranged" not in path)


def spoilt(value, attack, place, number):
    """A text with an attack in it, or another number."""
    if isinstance(value, str):
        at = place % (len(value) + 1)
        return value[:at] + attack + value[at:] if place else attack
    if isinstance(value, SlicedSet):
        return SlicedSet((attack,))
    if isinstance(value, bool):
        return number if number > 1 else not value
    return number if isinstance(value, int) else attack


def spoils_of(paths):
    """What to put where: a path, a text, a place in it, a number."""
    return st.tuples(
        st.sampled_from(paths),
        st.one_of(st.sampled_from(ATTACKS), st.text(max_size=8)),
        st.integers(0, 40),
        st.one_of(st.integers(-2, 70000), st.integers()),
    )


def each_spoil(value, path):
    """Each attack in the place of a text, at its ends and in its midst.

    Or each number in the place of a number.
    """
    for step in path:
        value = getattr(value, step) if is_dataclass(value) else value[step]
    if isinstance(value, int):
        return [(path, "", 0, number) for number in NUMBERS]
    size = len(value or "")
    places = {0, size // 2, size, size + 1} if value else {0}
    return [(path, attack, place, 0) for attack in ATTACKS for place in places]


@pytest.mark.parametrize(
    "path", PATHS, ids=lambda path: ".".join(map(str, path))
)
def test_no_attack_does_by_itself(path):
    for spoil in each_spoil(BASE, path):
        judge([spoil])


@settings(max_examples=1000, deadline=None, **SAME_EACH_TIME)
@given(st.lists(spoils_of(PATHS), min_size=1, max_size=3))
def test_nothing_outside_the_grammar_reaches_a_program(spoils):
    judge(spoils)


@settings(max_examples=PLANS // BATCH, deadline=None, **SAME_EACH_TIME)
@given(st.integers(0, 1 << 64))
def test_nor_does_it_in_very_many_plans(seed):
    """Drawn by a cheaper hand: several at once, and texts of any kind."""
    luck = random.Random(seed)
    for _ in range(BATCH):
        judge([drawn(luck) for _ in range(luck.randint(1, 3))])


def drawn(luck):
    text = "".join(
        chr(luck.choice((luck.randint(0, 127), luck.randint(128, 0xD7FF))))
        for _ in range(luck.randint(0, 4))
    )
    attack = luck.choice((luck.choice(ATTACKS), text))
    number = luck.choice((luck.randint(-2, 70000), luck.getrandbits(70)))
    return luck.choice(PATHS), attack, luck.randint(0, 40), number


def judge(spoils):
    """Let a spoilt plan through, or not, and look at what comes out."""
    wanted = BASE
    for path, attack, place, number in spoils:
        wanted = changed(
            wanted,
            path,
            lambda value, a=attack, p=place, n=number: spoilt(value, a, p, n),
        )
    told = []
    try:
        found, failures = checked(wanted, Passed())
    except HostSetupError as error:
        told.append(str(error))
    else:
        told += [str(each) for each in failures]
        rendered(found)
    assert all(map(str.isprintable, told)), spoils


def rendered(found):
    """Render all that differs from the plan that is known as good."""
    if found.filter != BASE.filter:
        of_iptables(rules(found.filter))
    if found.dhcp_servers != BASE.dhcp_servers:
        for server in found.dhcp_servers:
            of_dnsmasq(server)
    if found.guard != BASE.guard:
        of_nft(found.guard)
    of_kernel(found)


def of_iptables(planned):
    for table in planned.tables:
        text = edits(Existing(), table, Placement()).text
        for line in text.splitlines():
            assert RESTORE.fullmatch(line), line
    for each in planned.sets:
        assert re.fullmatch(SET_NAME, each.name), each.name
        size = {4: 4, 6: 16}[each.family]
        sizes = set(map(len, each.members))
        assert sizes <= {size, size + 1}


def of_kernel(found):
    """What becomes a file below /proc/sys, or a netlink attribute."""
    if (found.sysctls, found.bridges) == (BASE.sysctls, BASE.bridges):
        return
    bridges = frozenset(bridge.name for bridge in found.bridges)
    for name, value in found.sysctls:
        assert SYSCTL.fullmatch(str(sysctl.path(name, bridges))), name
        assert re.fullmatch(r"[0-9]{1,10}", value), value
    for bridge in found.bridges:
        assert DEVICE.fullmatch(bridge.name), bridge.name
        assert MAC.fullmatch(bridge.mac), bridge.mac
        assert 68 <= bridge.mtu <= 65535
        for port in bridge.ports:
            assert OURS.fullmatch(port.name), port.name
            assert MAC.fullmatch(port.mac), port.mac
            assert port.peer is None or OURS.fullmatch(port.peer), port.peer


def of_dnsmasq(server):
    for each in dnsmasq.arguments(server, networks_path="/n", config_file=""):
        assert ARGUMENT.fullmatch(each), each
    for kind, text in Texts().of(server).items():
        assert text.count("\n") == len(text.splitlines())
        for line in text.splitlines():
            assert LINES[kind].fullmatch(line), line


def of_nft(guard):
    for table in Guarding().tables(guard, Strangers()):
        for line in nft.replacement(table, None).split("\n"):
            if line.startswith(("add set", "add map")):
                assert NFT_SET.fullmatch(line), line
            elif line:
                assert NFT_OTHER.fullmatch(line), line
                assert not NFT_FOREIGN.search(line), line
