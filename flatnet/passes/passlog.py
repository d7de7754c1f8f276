"""What a pass says in the log: what it did, and what is new of its faults."""

import logging
from collections.abc import Iterable, Iterator
from itertools import groupby

from flatnet.passes.outcome import Pass
from flatnet.state.changes import Changes, Failure, Kind
from flatnet.state.effects import Effect, Verb

LOG = logging.getLogger(__name__)
# Things that one line tells of.
_A_LINE = 16


def report(outcome: Pass, before: Pass) -> None:
    """Log what changed; a state that lasts is said once, not each time."""
    if outcome.error is not None:
        LOG.error("pass failed: %s", outcome.error)
        return
    fought = {each.what for each in outcome.changes.fights}
    # That somebody undoes it is logged once, and who asks is shown it.
    told_of = (
        effect
        for effect in outcome.changes.made
        if effect.subject not in fought or effect.verb is Verb.REMOVED
    )
    for line in _lines(told_of):
        LOG.info("%s", line)
    told = {(f.about, f.message) for f in before.changes.failures}
    for failure in outcome.changes.failures:
        if (failure.about, failure.message) not in told:
            LOG.error(
                "%s (instances: %s)",
                failure,
                _sufferers(failure),
            )
    known = before.warnings
    for line in outcome.warnings:
        if line not in known:
            LOG.warning("%s", _shown(line))


def report_kept(changes: Changes) -> None:
    """Log what was put back by the rows that were read last."""
    for effect in changes.made:
        LOG.warning("put back without the database: %s", effect)


def _lines(made: Iterable[Effect]) -> Iterator[str]:
    """What was done, with what was done alike to several things in one line.

    A port touches a dozen sets: a line for each would bury the port's own.
    """
    for (surface, verb, detail), alike in groupby(
        made, lambda each: (each.surface, each.verb, each.detail)
    ):
        names = [each.subject.name for each in alike]
        for start in range(0, len(names), _A_LINE):
            some = ", ".join(names[start : start + _A_LINE])
            yield str(Effect(surface, verb, some, detail))


def _sufferers(failure: Failure) -> str:
    if failure.is_of_host:
        return "all of this host"
    if failure.key and failure.key.kind is Kind.NETWORK:
        return f"all of network {failure.key.of}"
    return ", ".join(map(_shown, failure.instances)) or "none"


def _shown(text: str) -> str:
    """Text of rows in a way that cannot break a line of the log."""
    return "".join(
        each if each.isprintable() else ascii(each)[1:-1] for each in text
    )
