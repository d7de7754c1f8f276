"""What a table is by what was written to it, until it has been read.

That iptables-restore ended well is what an answer rests on, and so may the
next pass, for a moment: to read all tables takes longer than to write a chain.
What it made of our words is read all the same, soon, and by each whole pass
(see `saved.confirm`).

Given up: where jumps moved, or others' chains lead to what goes, nobody says
beforehand what is there; it is read.
"""

from dataclasses import replace

from flatnet.apply.filter.iptables.iptables import Edits, Existing, chain_of
from flatnet.apply.filter.iptables.marks import lines, mark_of
from flatnet.apply.filter.iptables.saved import Saved
from flatnet.apply.filter.iptables.tables import Chain, Table
from flatnet.state.effects import Verb

_FORESEEN = {Verb.WRITTEN, Verb.REMOVED}


def presumed(
    saved: object, found: Existing, rest: tuple[Existing, Table], edits: Edits
) -> Saved | None:
    """Return the tables of a family after edits; none if nobody can tell.

    :param saved: as they were read, if that is known
    :param found: the table that the edits are of, as it was read
    :param rest: what may differ of it, as understood, and of the plan
    """
    existing, table = rest
    if not isinstance(saved, Saved) or table.name not in saved.tables:
        return None
    before = saved.tables[table.name]
    if before is not found:
        # It was read again since.
        return None
    is_odd = before.handles or before.texts.keys() != before.chains.keys()
    is_told_of = table.name in {*saved.warnings, *saved.dormant, *saved.woken}
    is_foreseen = all(each.verb in _FORESEEN for each in edits.made)
    if is_odd or is_told_of or not is_foreseen:
        return None
    chains, texts = dict(before.chains), dict(before.texts)
    planned = {each.name: each for each in table.chains}
    for each in edits.made:
        name = chain_of(each.key)
        if each.verb is Verb.REMOVED:
            del chains[name], texts[name]
        else:
            texts[name] = _text(before, existing, planned[name])
            chains[name] = [mark_of(line) for line in texts[name]]
    after = replace(before, chains=chains, texts=texts)
    return replace(saved, tables={**saved.tables, table.name: after})


def _text(before: Existing, existing: Existing, chain: Chain) -> list[str]:
    """What a chain says that is written; what stays is shown as it was."""
    understood = existing.texts.get(chain.name, ())
    shown = before.texts.get(chain.name, ())
    kept = dict(zip(understood, shown, strict=True))
    return [kept.get(line, line) for line in lines(chain)]
