"""The passes' way to the applier, and the host kept while rows are awaited.

A database that hangs keeps a pass waiting for tens of seconds.  What others do
to devices and to DHCP servers meanwhile is put back by the plan that was sent
last, as it is where the database is away.
"""

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator

from flatnet.exceptions import FlatnetError
from flatnet.passes import passlog
from flatnet.passes.protocols import AppliesPlans
from flatnet.state.changes import Changes
from flatnet.state.parts import Parts
from flatnet.state.plan import Uplink

LOG = logging.getLogger(__name__)
# Seconds that a pass may take before the host is looked at without it.
_SOON = 0.4
# Seconds between two such looks.
_PAUSE = 0.25


class Keeper:
    """Asks the applier for passes, and by itself where one is held up."""

    def __init__(self, applier: AppliesPlans) -> None:
        self._applier = applier
        # It serves one at a time.
        self._in_use = threading.Lock()
        self._wanted: Parts | None = None
        self._changed = threading.Condition()
        self._is_news = False

    def uplinks(self, names: tuple[str, ...]) -> tuple[Uplink, ...]:
        """What the kernel says of the devices that exist."""
        with self._in_use:
            return self._applier.uplinks(names)

    def apply(
        self,
        parts: Parts,
        *,
        renewed: Iterable[str],
        looked_at: Iterable[str] | None,
    ) -> Changes:
        """Make this host look like its parts; look at some guests, or all."""
        with self._in_use:
            self._wanted = parts
            return self._applier.apply(
                parts, renewed=renewed, looked_at=looked_at
            )

    def keep(self) -> None:
        """Have the host as it was wanted last, if nobody does so just now.

        What fails is for the pass to tell that has rows again.
        """
        if not self._in_use.acquire(blocking=False):
            return
        try:
            if self._wanted is not None:
                kept = self._applier.apply(
                    self._wanted, renewed=(), looked_at=None
                )
                passlog.report_kept(kept)
        except FlatnetError as error:
            LOG.debug("not kept meanwhile: %s", error)
        except Exception:
            LOG.exception("what keeps the host met an unforeseen error")
        finally:
            self._in_use.release()

    def hear(self) -> None:
        """Note that somebody asks for a pass, for something happened."""
        with self._changed:
            self._is_news = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Keep the host for as long as a pass takes, if that is long."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                ended.set()
                self._changed.notify_all()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        pause = _SOON
        while not ended.wait(pause):
            with self._changed:
                self._is_news = False
            self.keep()
            with self._changed:
                self._changed.wait_for(lambda: self._is_news or ended.is_set())
            pause = _PAUSE
