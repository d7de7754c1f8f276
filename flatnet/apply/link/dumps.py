"""All devices, read again and again, of which nearly all are as they were.

What the kernel says of one is about a kilobyte, and is known again by a hash:
the bodies of a thousand would be as large as all else that is known of them.
Python's hash has 64 bits and a key that is another in each process, so that
one change in 2 ** 64 is overlooked, until the next.  Of events nothing is
known again, for they count packets too.
"""

from collections.abc import Mapping

from flatnet.apply.link.link import Link, dumped, link


class Dumps:
    """Reads the devices of the namespace that it is asked in."""

    def __init__(self, there: Mapping[int, Link]) -> None:
        """`there` are those that are known, from events too, by index."""
        self._there = there
        # By what was said of them, their indexes included.
        self._links: dict[int, Link] = {}

    def read(self) -> tuple[Link, ...]:
        """Return the devices, in no order; who is as before, as the object.

        :raises HostSetupError: the kernel does not tell
        """
        known, found = self._links, {}
        for body in dumped():
            said = hash(body)
            found[said] = known.get(said) or self._as_known(link(body))
        self._links = found
        return tuple(found.values())

    def _as_known(self, now: Link) -> Link:
        known = self._there.get(now.index)
        return known if known is not None and known == now else now
