"""The addresses of flat networks that somebody may have a connection to.

What an address has of old connections must be gone before it is given to an
instance, and only a walk through all that the kernel tracks finds them: ten
milliseconds, and more than the rest of the work.  An address that nobody
ever had, or asked for, has none.  So the guard has the kernel note both ends
of each connection's first packet, and the walk is for those that are noted.

Goals, and how each is met:

* Never less than the truth.  It is noted before the connection is confirmed.
  Those that are older than the notes are listed once; that this was done is
  known as long as it is proven that nobody else wrote to the table (see
  `nft_proof`): who takes notes away, or puts older ones back, has them listed
  again.  A set that is full says so, and then everybody may have been met.
* It costs nobody who is connected: one comparison.

What was noted stays noted as long as the table: an address that is given
out again is looked for.

Given up: connections that a program puts there (conntrackd), those to an
address that an administrator's own rules make of another at the end of
their way, and packets that wait in a program's queue (NFQUEUE) while the
table is made.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft import NftChain
from flatnet.apply.filter.guard.nft_dump import elements, held
from flatnet.apply.filter.guard.nft_elements import Change, put_elements
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Guard

TABLE = ("inet", "flatnet")
CHAIN = "meet"
JUMP = f"ct state new,related jump {CHAIN}"
_LINK_LOCAL = "fe80::/10"
_FAMILIES = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
# All of a /16, and as many besides; of IPv6 whoever asks for more of them
# than that costs us walks.
_SIZES = {4: 1 << 17, 6: 1 << 15}
SET_KEYS = {
    f"{name}{family}": f"type {kind}; size {size}; flags dynamic"
    for family, (_, kind) in _FAMILIES.items()
    for name, size in (("met", _SIZES[family]), ("missed", 1))
}
# That all who were met before are noted too.
PROOF = ("met",)


def chain(guard: Guard) -> NftChain:
    """Return the chain that notes who is at the ends of a connection."""
    return NftChain(
        CHAIN,
        tuple(
            rule
            for family, network in _networks(guard)
            for end in _ends(_FAMILIES[family][0])
            for rule in (
                f"{end} {network} add @met{family} {{ {end} }}",
                f"{end} {network} {end} != @met{family} "
                f"add @missed{family} {{ {end} }}",
            )
        ),
    )


def those(
    session: Session, guard: Guard, addresses: Iterable[str]
) -> frozenset[str]:
    """Return those that somebody may have a connection to.

    :raises HostSetupError: the kernel does not tell
    """
    inside, found = _inside(guard, addresses), set(addresses)
    for family in _FAMILIES:
        mine = {each for each in inside if _family(each) == family}
        full = elements(session.proven.asking, TABLE, f"missed{family}")
        if mine and not full:
            found -= mine - _held(session, f"met{family}", mine)
    return frozenset(found)


def are_complete(session: Session) -> bool:
    """Whether those are known too who were met before there were notes.

    :raises HostSetupError: the kernel does not tell
    """
    return session.proven.has(PROOF)


def complete(
    session: Session, guard: Guard, list_ends: Callable[[], Iterable[str]]
) -> None:
    """Note all ends of the connections that there are.

    :param list_ends: lists them
    :raises HostSetupError: they cannot be noted
    """
    # From here on, so that nobody takes away what is about to be noted.
    session.proven.note(PROOF)
    try:
        inside = _inside(guard, list_ends())
        changes = [_noted(session, family, inside) for family in _FAMILIES]
        put_elements(session, changes)
    except HostSetupError:
        session.proven.drop(PROOF)
        raise


def _noted(session: Session, family: int, ends: frozenset[str]) -> Change:
    """What notes the ends of a family, or that they are too many."""
    mine, name = {e for e in ends if _family(e) == family}, f"met{family}"
    if len(mine) > _SIZES[family] // 2:
        name = f"missed{family}"
        is_full = bool(elements(session.proven.asking, TABLE, name))
        mine = set() if is_full else {min(mine)}
    return Change(
        family=TABLE[0],
        table=TABLE[1],
        set=name,
        key=SET_KEYS[name],
        added=frozenset((each,) for each in mine),
    )


def _inside(guard: Guard, addresses: Iterable[str]) -> frozenset[str]:
    """Those of the flat networks."""
    ranges = [ip_network(each, strict=False) for _, each in _networks(guard)]
    return frozenset(
        each
        for each in addresses
        if any(ip_address(each) in network for network in ranges)
    )


def _networks(guard: Guard) -> tuple[tuple[int, str], ...]:
    found = {(4, network.cidr) for network in guard.networks}
    found |= {(6, n.cidr_v6) for n in guard.networks if n.cidr_v6}
    if guard.networks:
        found.add((6, _LINK_LOCAL))
    return tuple(sorted(found))


def _ends(header: str) -> tuple[str, ...]:
    """Where an end stands: also what a destination was before DNAT."""
    return f"{header} saddr", f"{header} daddr", f"ct original {header} daddr"


def _family(address: str) -> int:
    return 6 if ":" in address else 4


def _held(session: Session, name: str, addresses: set[str]) -> set[str]:
    keys = {
        nft_keys.encoded(SET_KEYS[name], (each,)): each for each in addresses
    }
    present = held(session.proven.asking, TABLE, name, keys)
    return {keys[key] for key in present}
