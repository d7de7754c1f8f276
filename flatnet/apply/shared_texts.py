"""The texts of parts that were received, each kept once.

The parts of a guest say the same several times: its MAC, its addresses, whose
it is.  A decoder makes a text of each, a kilobyte more of every guest.

They are not interned: that table has all names of all modules, and a worker
who writes to it has no longer the one that he shares with who forked him.
"""

from collections.abc import Mapping
from typing import Any

from flatnet.state.parts import GuestPart

_set = object.__setattr__


def share(guests: Mapping[str, GuestPart]) -> None:
    """Have all equal texts of guests be one object, and all lists of them.

    :param guests: by key, just received, so that nobody has them yet
    """
    known: dict[Any, Any] = {key: key for key in guests}
    for part in guests.values():
        for each in (part.port, part.guarded, part.filtered, part.dhcp):
            if each is not None:
                _share(each, known)


def _share(part: Any, known: dict[Any, Any]) -> None:
    for name in part.__slots__:
        value = getattr(part, name)
        if type(value) is str:
            _set(part, name, known.setdefault(value, value))
        elif type(value) is tuple and value and type(value[0]) is str:
            found = known.get(value)
            if found is None:
                texts = (known.setdefault(each, each) for each in value)
                found = known[value] = tuple(texts)
            _set(part, name, found)
