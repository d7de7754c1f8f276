"""Elements of nftables' sets, written straight to the kernel."""

import ipaddress
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nft_sets import KEYS, change, held, made, now, put, write

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.guard import TABLE
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_batch import OutdatedError
from flatnet.exceptions import HostSetupError

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1).map(
    lambda text: text[:15]
)
MACS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
PARTS = {
    "ifname": NAMES,
    "iifname": NAMES,
    "ether_addr": MACS,
    "ipv4_addr": st.ip_addresses(v=4).map(str),
    "ipv6_addr": st.ip_addresses(v=6).map(str),
    "inet_service": st.integers(0, 65535).map(str),
    "@th,288,48": st.binary(min_size=6, max_size=6).map(
        lambda raw: f"0x{raw.hex()}"
    ),
    "@th,64,128": st.binary(min_size=16, max_size=16).map(
        lambda raw: f"0x{raw.hex()}"
    ),
}


def elements(key):
    if nft_keys.value_size(key):
        # A name leads to one thing.
        return st.frozensets(NAMES.map(marked), max_size=6)
    parts = (PARTS[part] for part in nft_keys.parts(key))
    return st.frozensets(st.tuples(*parts), max_size=6)


def marked(name):
    return name, f"{zlib.crc32(name.encode()):#010x}"


def contents():
    """Any contents of all the guard's sets."""
    return st.fixed_dictionaries(
        {place: elements(key) for place, key in KEYS.items()}
    )


def test_whatever_is_written_is_what_the_kernel_has(namespace):
    def written():
        with Session() as session:
            made(session)

            @settings(max_examples=60, deadline=None, database=None)
            @given(contents(), contents())
            def twice(first, second):
                before = held(session)
                added = [change(each, first[each]) for each in KEYS]
                put(session, added)
                both = [
                    change(each, second[each], first[each]) for each in KEYS
                ]
                put(session, both)
                for each, there in held(session).items():
                    assert there == (before[each] - first[each]) | second[each]

            twice()

    namespace.call(written)


@pytest.mark.parametrize("place", list(KEYS))
def test_nft_and_we_write_the_same_keys(namespace, place):
    """What the library adds we find, and what we add it shows."""
    texts = {
        "ifname": ("tap00000001-aa", "eth0"),
        "iifname": ("tap00000001-aa", "eth0"),
        "ether_addr": ("fa:16:3e:00:00:01", "ff:ff:ff:ff:ff:ff"),
        "ipv4_addr": ("10.0.0.2", "255.255.255.255"),
        "ipv6_addr": ("fe80::1", "2001:db8::ffff"),
        "inet_service": ("22", "65535"),
        "mark": ("0x8abcdef0", "0x00000001"),
        "@th,288,48": ("0xfa163e000001", "0x000000000001"),
        "@th,64,128": (f"0x{1:032x}", f"0xfe80{0:028x}"),
    }
    parts = nft_keys.parts(KEYS[place])
    first, second = (tuple(texts[p][n] for p in parts) for n in (0, 1))

    def written():
        with Session() as session:
            made(session)
            family, name = place
            session.run(
                f"add element {family} {TABLE} {name} "
                f"{{ {nft_keys.text(KEYS[place], first)} }}"
            )
            put(session, [change(place, [second])])
            ours = held(session)[place]
            session.run(
                f"delete element {family} {TABLE} {name} "
                f"{{ {nft_keys.text(KEYS[place], second)} }}"
            )
            put(session, [change(place, removed=[first])])
            return ours, held(session)[place]

    assert namespace.call(written) == ({first, second}, set())


def test_what_leads_elsewhere_takes_the_place_of_what_led(namespace):
    place = ("bridge", "groupcasts")
    before, after = (("tap1", mark) for mark in ("0x00000001", "0x00000002"))

    def written(session):
        made(session)
        put(session, [change(place, [before])])
        put(session, [change(place, [after], [before])])
        return held(session)[place]

    assert called(namespace, written) == {after}


def test_nft_shows_what_we_wrote(namespace):
    """Without flags of an owner, that `nft -j` prints JSON."""
    namespace.run(f"nft add table bridge {TABLE}")
    address = ("tap1", "10.0.0.2")

    def written():
        with Session() as session:
            session.adopt([("bridge", TABLE)])
            key = KEYS["bridge", "ipv4"]
            session.run(f"add set bridge {TABLE} ipv4 {{ {key}; }}")
            put(session, [change(("bridge", "ipv4"), [address])])

    namespace.call(written)
    shown = json.loads(namespace.run(f"nft -j list set bridge {TABLE} ipv4"))
    assert shown["nftables"][1]["set"]["elem"] == [{"concat": list(address)}]


PORTS, MACS_OF = ("bridge", "ports"), ("bridge", "macs")
GUESTS = ("inet", "guests4")
ONE, TWO = ("tap1",), ("tap2",)


def called(namespace, function):
    def inside():
        with Session() as session:
            made(session)
            return function(session)

    return namespace.call(inside)


def test_all_tables_are_written_in_one_transaction(namespace):
    def written(session):
        before = now(session)
        changes = [change(PORTS, [ONE, TWO]), change(GUESTS, [("10.0.0.2",)])]
        after = write(session, changes, before)
        return (
            after - before,
            now(session) - after,
            held(session),
        )

    steps, since, found = called(namespace, written)
    assert (steps, since) == (1, 0)
    assert found[PORTS] == {ONE, TWO}
    assert found[GUESTS] == {("10.0.0.2",)}


def test_what_is_there_or_gone_already_changes_nothing_else(namespace):
    def written(session):
        put(session, [change(PORTS, [ONE])])
        before = now(session)
        same = write(session, [change(PORTS, [ONE])], before)
        assert same == now(session) == before
        nothing = write(session, [change(PORTS)], before)
        assert nothing == before
        gone = [change(PORTS, [TWO], [ONE, ("tap3",)])]
        after = write(session, gone, before)
        assert after == now(session) == before + 1
        both = [change(PORTS, [TWO], [TWO])]
        assert write(session, both, after) == now(session)
        return held(session)[PORTS]

    assert called(namespace, written) == {TWO}


def test_whoever_was_overtaken_writes_nothing(namespace):
    def written(session):
        before = now(session)
        namespace.run("nft add table ip theirs")
        with pytest.raises(OutdatedError):
            write(session, [change(PORTS, [ONE])], before)
        assert held(session)[PORTS] == set()
        put(session, [change(PORTS, [ONE])])
        return held(session)[PORTS]

    assert called(namespace, written) == {ONE}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("x" * 17,), '"xxxxxxxxxxxxxxxxx"'),
        (("tap1", "fa:16:3e:00:00:01:02:03:04"), "fa:16:3e:00:00:01:02:03:04"),
    ],
)
def test_what_is_refused_is_named_and_nothing_is_written(
    namespace, wrong, named
):
    place = PORTS if len(wrong) == 1 else MACS_OF

    def written(session):
        before = now(session)
        changes = [change(PORTS, [ONE, TWO]), change(place, [wrong])]
        with pytest.raises(HostSetupError) as caught:
            write(session, changes, before)
        assert now(session) == before
        assert held(session)[PORTS] == set()
        return str(caught.value)

    error = called(namespace, written)
    assert error.endswith(f"{named}: Invalid argument")
    assert f"nftables set bridge {TABLE} {place[1]} " in error
    assert "\n" not in error


def test_a_set_that_is_not_there_is_named(namespace):
    def written(session):
        session.run(f"delete set bridge {TABLE} ports")
        with pytest.raises(HostSetupError) as caught:
            put(session, [change(PORTS, [ONE])])
        return str(caught.value)

    assert f"set bridge {TABLE} ports cannot" in called(namespace, written)


def test_tables_of_a_living_owner_are_not_written(namespace):
    def written(session):
        with Session() as second, pytest.raises(HostSetupError) as caught:
            put(second, [change(PORTS, [ONE])])
        return str(caught.value)

    assert "belongs to another process" in called(namespace, written)


def test_ten_thousand_at_once(namespace):
    def written(session):
        many = [(str(ipaddress.IPv4Address(n)),) for n in range(10000)]
        put(session, [change(GUESTS, many)])
        first = len(held(session)[GUESTS])
        put(session, [change(GUESTS, removed=many)])
        return first, len(held(session)[GUESTS])

    assert called(namespace, written) == (10000, 0)


def test_what_another_left_unread_is_no_answer(namespace):
    def written(session):
        with session.shared() as kernel:
            # A question of an earlier process, whose answer is an error.
            kernel.send(
                bytes.fromhex("14000000ff0a0500010000000000000000000000")
            )
        put(session, [change(PORTS, [ONE])])
        return held(session)[PORTS]

    assert called(namespace, written) == {ONE}
