"""What lies on a host before something is measured: guests and groups."""

from dataclasses import dataclass

CIDR = "10.0.0.0/16"
RULES_OF_A_GROUP = 5


@dataclass(frozen=True)
class Layout:
    """How guests are filtered.

    Each is in `each` of the `groups` that there are, in turn.  Who comes while
    something is measured is in those of one who stays on his host; if `fresh`,
    in a group that nobody else is in, there or elsewhere.
    """

    same_net: bool = True
    each: int = 0
    groups: int = 0
    fresh: bool = False

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Lines of the daemons' configuration."""
        return (("allow_same_net_traffic", str(self.same_net)),)

    def groups_of(self, number: int, each: int) -> tuple[int, ...]:
        """The groups of a guest by its number, both counted from 0.

        :param each: how many groups it is in
        """
        return tuple(
            sorted(
                (number * each + offset) % self.groups
                for offset in range(each)
            )
        )
