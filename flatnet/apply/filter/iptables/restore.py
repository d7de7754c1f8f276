"""Transactions of iptables-restore, and which chains they fail for.

iptables-legacy works under a lock that anybody may hold: `iptables -L` does
while it asks DNS for names, and that may take minutes.  Its holder is waited
for, in each pass for some seconds; that it is held says nothing about chains.
"""

from flatnet.apply.filter.iptables.iptables import (
    COMMANDS,
    Existing,
    chains_text,
    changed,
)
from flatnet.apply.filter.iptables.profiles import GROUP_PREFIX
from flatnet.apply.filter.iptables.restorers import WAIT_SECONDS, Restorers
from flatnet.apply.filter.iptables.tables import Chain, Table
from flatnet.exceptions import HostSetupError

_LOCK = "/run/xtables.lock"
# Of a thousand chains, the bad one among them is known after eleven.
_FRUITLESS = 24


class LockHeldError(HostSetupError):
    """Somebody else works on iptables and does not end."""


def restore(family: int, text: str, restorers: Restorers) -> str:
    """Run one transaction; return the error, or nothing.

    :raises LockHeldError: nothing was tried
    """
    command = f"{COMMANDS[family]}-restore"
    outcome = restorers.run(family, text)
    if outcome.status and "holding the xtables lock" in outcome.error:
        raise LockHeldError(
            f"{command}: somebody has held {_LOCK} for {WAIT_SECONDS} s (as "
            "iptables -L does while DNS is slow: use -n); it is tried again, "
            f"until the holder has ended: fuser -v {_LOCK}"
        )
    return outcome.error or "refused" if outcome.status else ""


def candidates(existing: Existing, table: Table) -> tuple[Chain, ...]:
    """Return the chains of groups that are to be written."""
    return tuple(
        chain
        for chain in changed(existing, table)
        if chain.name.startswith(GROUP_PREFIX)
    )


def refused_chains(
    table: Table, chains: tuple[Chain, ...], restorers: Restorers
) -> dict[str, str]:
    """Write the chains in halves; return the errors of those refused.

    Where one after the other is refused and none taken, it is not a matter of
    chains, and none is blamed.

    :raises LockHeldError: nobody can tell now
    """
    search = _Search(table, restorers)
    found = search.refused(chains)
    return {} if search.is_fruitless else found


class _Search:
    def __init__(self, table: Table, restorers: Restorers) -> None:
        self._table = table
        self._restorers = restorers
        self._tried = 0
        self._has_written = False

    @property
    def is_fruitless(self) -> bool:
        return self._tried >= _FRUITLESS and not self._has_written

    def refused(self, chains: tuple[Chain, ...]) -> dict[str, str]:
        if not chains or self.is_fruitless:
            return {}
        self._tried += 1
        text = chains_text(self._table.name, chains)
        error = restore(self._table.family, text, self._restorers)
        if not error:
            self._has_written = True
            return {}
        if len(chains) == 1:
            return {chains[0].name: error}
        half = len(chains) // 2
        return {
            **self.refused(chains[:half]),
            **self.refused(chains[half:]),
        }
