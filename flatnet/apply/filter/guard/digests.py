"""What the kernel made of the guard's rules, as digests.

A rule that somebody edits may keep our mark, and nobody can tell what the
kernel makes of a rule but the kernel: so what it made of ours is remembered,
and for whoever starts next it is kept in a file, beside the other files of
the applier.

Nothing has to say for which boot or network namespace a digest is: it stands
for the rules themselves, wherever they are.
"""

import contextlib
import logging
import os
from collections.abc import Mapping

from flatnet.apply import files
from flatnet.apply.filter.guard.nft import FoundTable, NftTable
from flatnet.apply.safe_directory import make_safe_directory
from flatnet.exceptions import HostSetupError

LOG = logging.getLogger(__name__)
# Begins as what a crash left of files does, which the next pass removes, and
# ends as no file of a bridge.
NAME = "flatnet-guard.digests"
# What no table has.
_UNKNOWN = ""
_MODE = 0o600


class Digests:
    """Of each family's table, as one process knows it."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def recognise(self, family: str, present: FoundTable) -> bool:
        """Whether the rules of a table are not known to have been others."""
        return self._known.get(family, present.digest) == present.digest

    def note(self, found: Mapping[NftTable, FoundTable | None]) -> None:
        """Note how tables are that are ours; none for what is not known."""
        for table, present in found.items():
            self._known.pop(table.family, None)
            if present is not None:
                self._known[table.family] = present.digest


class KeptDigests(Digests):
    """Those of one process after the other, in a file.

    A table that it does not tell of, as when it is lost, is none of ours,
    whatever its marks: its rules are written once more.
    """

    def __init__(self, directory: str, families: tuple[str, ...]) -> None:
        super().__init__()
        self._directory = directory
        self._known = {**dict.fromkeys(families, _UNKNOWN), **self._read()}

    def note(self, found: Mapping[NftTable, FoundTable | None]) -> None:
        """Note it, for the next process too where it can be kept."""
        before = self._known.copy()
        super().note(found)
        if self._known != before:
            self._write()

    def _read(self) -> dict[str, str]:
        # What others may write there is nothing to go by.
        with contextlib.suppress(HostSetupError, OSError):
            path = os.path.join(make_safe_directory(self._directory), NAME)
            pairs = (line.split() for line in files.read(path).splitlines())
            return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
        return {}

    def _write(self) -> None:
        text = "".join(f"{each} {self._known[each]}\n" for each in self._known)
        try:
            path = os.path.join(make_safe_directory(self._directory), NAME)
            files.replace(path, text, mode=_MODE)
        except (HostSetupError, OSError) as error:
            LOG.warning(
                "the guard's rules are written once more by the next start, "
                "which cannot be told what they are: %s",
                error,
            )
