"""The iptables tables of a plan: the host's chains and those of instances."""

from collections import Counter
from dataclasses import replace

from flatnet.apply import grammar_values as values
from flatnet.apply.grammar_instances import Instances, subject
from flatnet.apply.grammar_rules import CHAIN, check_rule
from flatnet.apply.iptables import BUILTINS, INSTANCE_PREFIX
from flatnet.state import Chain, Failure, Table

_JUMP = "-j "
_DROP = ("-j DROP",)
_SHUT = "nothing new is let in to the instance: mend its row"


def checked_table(table: Table, found: Instances) -> Table:
    """Return the table with the chains of odd instances shut.

    :raises ValueError: what is the host's own is not of the grammar
    """
    values.choice(table.family, (4, 6))
    values.choice(table.name, tuple(BUILTINS))
    for jump in table.jumps:
        values.choice(jump.builtin, BUILTINS[table.name])
        _check_chain_name(jump.chain)
    nameless = frozenset(
        chain.name
        for chain in table.chains
        if chain.name.startswith(INSTANCE_PREFIX)
        and not CHAIN.fullmatch(chain.name)
    )
    chains = []
    for chain in _told_apart(table.chains, found):
        if chain.name in nameless:
            _fail(chain, "it is no chain of ours", found)
        else:
            chains.append(_chain(_without(chain, nameless), found))
    return replace(table, chains=tuple(chains))


def _told_apart(
    chains: tuple[Chain, ...], found: Instances
) -> tuple[Chain, ...]:
    """The chains, each once; one that two instances claim is shut.

    :raises ValueError: a chain of the host is planned twice
    """
    counts = Counter(chain.name for chain in chains)
    kept = {}
    for chain in chains:
        if counts[chain.name] > 1:
            if not chain.name.startswith(INSTANCE_PREFIX):
                raise ValueError("a chain is planned twice")
            _fail(chain, "it is planned twice", found)
            chain = Chain(chain.name, _DROP)
        kept[chain.name] = chain
    return tuple(kept.values())


def _without(chain: Chain, nameless: frozenset[str]) -> Chain:
    """The chain with a drop for each jump to a chain that is not made.

    Without the jump a packet would go on to what is meant for others.
    """
    if not nameless:
        return chain

    def closed(rule: str) -> str:
        head, _, target = rule.partition(_JUMP)
        return f"{head}{_JUMP}DROP" if target in nameless else rule

    return replace(chain, rules=tuple(map(closed, chain.rules)))


def _chain(chain: Chain, found: Instances) -> Chain:
    """A chain as planned; one of an instance that is not fit drops."""
    _check_chain_name(chain.name)
    is_own = chain.name.startswith(INSTANCE_PREFIX)
    try:
        if chain.instance_uuid is not None:
            values.uuid(chain.instance_uuid)
        for rule in chain.rules:
            check_rule(rule)
    except ValueError as error:
        if not is_own:
            raise
        _fail(chain, str(error), found)
        return replace(chain, rules=_DROP)
    return chain


def _fail(chain: Chain, reason: str, found: Instances) -> None:
    # None at all would name every instance of the host.
    uuids = () if chain.instance_uuid is None else (chain.instance_uuid,)
    found.fail(
        Failure(
            subject("firewall chain", chain.name), f"{reason}; {_SHUT}", uuids
        )
    )


def _check_chain_name(name: str) -> None:
    if not CHAIN.fullmatch(name):
        raise ValueError(f"{ascii(name)[:60]} is no chain of ours")
