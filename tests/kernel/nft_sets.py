"""The guard's sets without its rules, and what they hold."""

from flatnet.apply.filter.guard import nft, nft_elements, nft_keys, routed
from flatnet.apply.filter.guard.bridge_rules import SET_KEYS
from flatnet.apply.filter.guard.guard import TABLE
from flatnet.apply.filter.guard.nft_elements import Change
from flatnet.apply.filter.nft_proof import generation

put, write = nft_elements.put_elements, nft_elements.write_elements
KEYS = {
    ("bridge", name): key
    for name, key in SET_KEYS.items()
    if "dynamic" not in key
} | {
    ("inet", name): key
    for name, key in routed.SET_KEYS.items()
    if "dynamic" not in key
}


def made(session):
    """Have all the guard's sets, empty, in tables that we own."""
    families = {family for family, _ in KEYS}
    session.adopt((family, TABLE) for family in families)
    session.run(
        "".join(
            f"add {kind(key)} {family} {TABLE} {name} {{ {key}; }}\n"
            for (family, name), key in KEYS.items()
        )
    )


def kind(key):
    return "map" if nft_keys.value_size(key) else "set"


def change(place, added=(), removed=()):
    key = KEYS[place]
    family, name = place
    added, removed = frozenset(added), frozenset(removed)
    return Change(family, TABLE, name, key, added, removed)


def now(session):
    return generation(session.proven.asking)


def held(session):
    found = {}
    for family in {family for family, _ in KEYS}:
        present = nft.read(session, family, TABLE).elements
        for name, keys in present.items():
            key = KEYS[family, name]
            found[family, name] = {nft_keys.decoded(key, k) for k in keys}
    return found
