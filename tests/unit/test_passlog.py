"""What a pass says in the log."""

import logging

from flatnet.passes import passlog
from flatnet.passes.outcome import Pass
from flatnet.state.changes import Changes, Fight
from flatnet.state.effects import Effect, Surface, Verb

UP = Effect(Surface.BRIDGE, Verb.UP, "br100")
GONE = Effect(Surface.PORT, Verb.REMOVED, "tap1")
OTHER = Effect(Surface.BRIDGE, Verb.UP, "br101")


def logged(caplog, *fought):
    fights = tuple(Fight(each, "somebody", 0, 5) for each in fought)
    changes = Changes(made=(UP, GONE, OTHER), fights=fights)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        passlog.report(Pass(changes=changes), Pass())
    return [record.message for record in caplog.records]


def test_all_that_was_done_is_told(caplog):
    assert logged(caplog) == [str(UP), str(GONE), str(OTHER)]


def test_repairs_of_what_is_fought_about_are_not_told_each_time(caplog):
    assert logged(caplog, "bridge br100", "port tap1") == [
        str(GONE),
        str(OTHER),
    ]
