"""The programs that we ran, so that what they wrote is not taken for others'.

They are known by their pids and not by their names, which others have too.
"""

SOMEBODY = "somebody"


class OwnPrograms:
    """Those that wrote rules, and whose events nobody has heard yet."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def note(self, pid: int) -> None:
        """Note that one of ours has ended."""
        self._pids.add(pid)

    def excuse(self, who: str) -> bool:
        """Whether an event names one of ours, as `program (pid)`.

        Of events that were lost while ours worked nearly all were theirs.
        """
        if who == SOMEBODY:
            return bool(self._pids)
        return any(who.endswith(f"({pid})") for pid in self._pids)

    def forget(self) -> None:
        """Forget those whose events were heard."""
        self._pids = set()
