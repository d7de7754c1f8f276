"""Callers who allocate and deallocate while something else is measured."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from flatnet.lab.bench.callers import NETWORK
from flatnet.lab.bench.calling import Callers
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError

_CALLERS, _EACH = 4, 2
_METHODS = ("allocate_for_instance", "deallocate_for_instance")


@contextlib.contextmanager
def load(site: Site, callers: Callers) -> Iterator[None]:
    """Have some callers allocate and deallocate, again and again.

    A call may meet a host that somebody has just destroyed something of; which
    failed is said aside.

    :param callers: whom nobody else has call meanwhile
    """
    end = threading.Event()
    with (
        site.newcomers(_CALLERS * _EACH) as wanted,
        ThreadPoolExecutor(1) as beside,
    ):
        calls = [each.arguments for each in wanted]

        def call() -> None:
            while not end.is_set():
                for method in _METHODS:
                    try:
                        callers.at_once(NETWORK, method, calls, _CALLERS)
                    except LabError as error:
                        site.say(f"under load {error}")

        calling = beside.submit(call)
        try:
            yield
        finally:
            end.set()
        calling.result()
