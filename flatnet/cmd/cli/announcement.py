"""What daemons are told of security groups that the tool has changed."""

from collections.abc import Sequence

from flatnet.cmd.cli.base import warn
from flatnet.config.settings import Settings
from flatnet.exceptions import FlatnetError


def tell_daemons(
    wanted: Settings, groups: Sequence[int], *, who_changed: Sequence[str]
) -> None:
    """Ask for a pass everywhere; without it the next one comes anyway.

    :param who_changed: the members, nobody where it is rules
    """
    from flatnet.cmd.cli.broker import network_api

    try:
        with network_api() as api:
            api.security_groups_changed(
                {}, group_ids=list(groups), instance_ids=list(who_changed)
            )
    except FlatnetError as error:
        warn(
            f"the change is written, but hosts may follow only within "
            f"{wanted.reconcile_interval} s: {error}"
        )
