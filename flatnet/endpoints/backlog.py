"""Calls that wait for their turn: so many, and none that nobody waits for.

oslo.messaging takes every message at once and works through all of them,
however long ago their callers gave up: who repeats a call that is not
answered quickly makes a daemon mute for long after he has gone.  So calls
that change something take turns here; what would wait behind too many is
refused at once, and what its caller has given up on is dropped.  Questions
that cost nothing, such as ping, do not wait.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import oslo_messaging as messaging

from flatnet import deadline
from flatnet.endpoints.sent_errors import OWN, as_sent
from flatnet.exceptions import HostOverloaded

LOG = logging.getLogger(__name__)
Json = dict[str, Any]
# Calls at work together; most of them wait for one pass.
AT_WORK = 64
# Calls that may wait behind them.
WAITING = 256
# Calls that wait for another host, and hold no turn meanwhile.
AWAY = 128
# Threads for all of these, and for those who are answered aside.
THREADS = AT_WORK + WAITING + AWAY + 32
# Of a caller's patience, what a call may take: the answer has to be there
# before it ends.
SHARE = 0.85
# Who needs so much of it is late, and where so many are, that is too much.
_LATE_SHARE, _MANY = 0.6, 8
# Seconds after which an overload is told of again.
_SILENCE = 60.0
_LIGHT = frozenset(("ping", "get_host_state", "security_groups_changed"))
# Who has a turn on another host waits for these: if they waited for one here,
# two hosts could wait for each other.  Each host asks for one at a time.
_ASIDE = frozenset(("follow_deallocations", "serve_instances"))


@dataclass
class Turns:
    """Who is at work and who waits, on this daemon."""

    at_work: int = AT_WORK
    most_waiting: int = WAITING
    most_away: int = AWAY
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _mine: threading.local = field(default_factory=threading.local)
    _working: int = 0
    _away: int = 0
    _waiting: list[float] = field(default_factory=list)
    _told: float = -_SILENCE

    def state(self) -> Json:
        """Return how many calls wait, and for how many seconds the oldest."""
        with self._changed:
            oldest = min(self._waiting, default=time.monotonic())
            return {
                "working": self._working,
                "waiting": len(self._waiting),
                "oldest": round(time.monotonic() - oldest, 3),
            }

    @contextmanager
    def turn(self, seconds: float) -> Iterator[bool]:
        """Wait for a turn and hold it; false if it did not come in time.

        :raises HostOverloaded: too many wait already
        """
        has_turn = self._wait(time.monotonic(), seconds)
        self._mine.is_held = has_turn
        try:
            yield has_turn
        finally:
            self._mine.is_held = False
            if has_turn:
                with self._changed:
                    self._working -= 1
                    self._changed.notify()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let somebody else have this call's turn, if it has one.

        While it waits for another host: calls there may wait for this host,
        and if each kept its turn, two hosts could wait for each other.

        :raises HostOverloaded: too many wait for other hosts already
        """
        if not getattr(self._mine, "is_held", False):
            yield
            return
        with self._changed:
            if self._away >= self.most_away:
                self._tell("calls for other hosts are refused")
                raise HostOverloaded(
                    f"{self._away} calls on this host wait for other hosts "
                    "already; ask again later, it is safe"
                )
            self._away += 1
            self._working -= 1
            self._changed.notify()
        try:
            yield
        finally:
            # What is left of it is short: it has its turn at once.
            with self._changed:
                self._away -= 1
                self._working += 1

    def _wait(self, begun: float, seconds: float) -> bool:
        with self._changed:
            if len(self._waiting) >= self.most_waiting:
                self._tell("calls are refused")
                raise HostOverloaded(
                    f"{len(self._waiting)} calls wait on this host already; "
                    "ask again later, it is safe"
                )
            self._waiting.append(begun)
            try:
                came = self._changed.wait_for(
                    lambda: self._working < self.at_work, seconds
                )
            finally:
                self._waiting.remove(begun)
            if not came:
                self._tell("calls are dropped that nobody waits for any more")
                # Whoever comes next may have more patience.
                self._changed.notify()
                return False
            self._working += 1
            return True

    def note_late(self) -> None:
        """Note that a call took most of the time that its caller waits."""
        with self._changed:
            if self._working >= min(_MANY, self.at_work):
                self._tell("calls take most of what their callers wait")

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        if now - self._told >= _SILENCE:
            self._told = now
            LOG.warning(
                "overloaded: %d calls are at work and %d wait; %s",
                self._working,
                len(self._waiting),
                what,
            )


class Dispatcher(messaging.RPCDispatcher):  # type: ignore[misc]
    """Calls the endpoints, each call in its turn.

    :param patience: seconds that a caller waits who does not say it
    :param error_module: the module that callers know our errors in
    """

    def __init__(
        self,
        endpoints: list[object],
        *,
        turns: Turns,
        patience: float,
        error_module: str = OWN,
    ) -> None:
        super().__init__(endpoints, None)
        self._turns = turns
        self._patience = patience
        self._error_module = error_module

    def dispatch(self, incoming: Any) -> Any:
        """Return what the endpoint answers; nothing to who has gone."""
        try:
            return self._dispatched(incoming)
        except messaging.ExpectedException as expected:
            expected.exc_info = as_sent(expected.exc_info, self._error_module)
            raise

    def _dispatched(self, incoming: Any) -> Any:
        method = incoming.message.get("method")
        if method in _LIGHT:
            return super().dispatch(incoming)
        patience = caller_patience(incoming, self._patience)
        try:
            with self._turn(method, patience - _age(incoming)) as has_turn:
                if has_turn and _age(incoming) < patience:
                    return self._answered(incoming, patience)
        except HostOverloaded as error:
            raise messaging.ExpectedException from error
        finally:
            if _age(incoming) >= patience:
                # Its queue may be gone: answering would be tried for long.
                incoming.orig_msg_id = None
        return None

    def _turn(
        self, method: str | None, seconds: float
    ) -> AbstractContextManager[bool]:
        if method in _ASIDE:
            return nullcontext(True)
        return self._turns.turn(seconds)

    def _answered(self, incoming: Any, patience: float) -> Any:
        try:
            with deadline.within(patience * SHARE - _age(incoming)):
                return super().dispatch(incoming)
        finally:
            if _age(incoming) >= patience * _LATE_SHARE:
                self._turns.note_late()


def caller_patience(incoming: Any, otherwise: float) -> float:
    """Return the seconds after which a caller has given up.

    The driver sends a message with that as its time to live; who sends none
    waits as long as we would.
    """
    raw = getattr(incoming.message, "_raw_message", None)
    text = str(getattr(raw, "properties", {}).get("expiration"))
    return int(text) / 1000 if text.isdecimal() else otherwise


def _age(incoming: Any) -> float:
    """Seconds since a message was taken from the broker."""
    watch = getattr(incoming, "stopwatch", None)
    return float(watch.elapsed()) if watch else 0.0
