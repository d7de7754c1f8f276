"""The networks of the cloud: checked, created and deleted."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flatnet.apply.link.conflicts import foreseen
from flatnet.config.settings import Settings
from flatnet.db import networks, requests, reservations
from flatnet.db.engine import Database
from flatnet.exceptions import NetworkNotFound
from flatnet.passes.reconciler import Reconciler
from flatnet.rpc.arguments import Requested
from flatnet.state.rows import Network
from flatnet.state.scope import EVERYTHING
from flatnet.state.taken_addresses import InUse

LOG = logging.getLogger(__name__)


class NetworkAdmin:
    """What callers ask of networks, with a host's options for what is left.

    :param in_use: what this host depends on now
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        reconciler: Reconciler,
        in_use: Callable[[], tuple[InUse, ...]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._reconciler = reconciler
        self._in_use = in_use

    def check_requested(self, requested: Requested | None) -> None:
        """Raise what allocating `requested` would; write nothing."""
        if requested:
            requests.check_requested(self._database, requested)

    def create(self, **arguments: Any) -> Network:
        """Create a network; what is not given comes from the options.

        What this host can say against it is a warning in its log.
        """
        options = self._settings
        defaults = {
            "bridge": options.flat_network_bridge,
            "bridge_interface": options.flat_interface or None,
            "multi_host": options.multi_host,
            "injected": options.flat_injected,
        }
        given = {k: v for k, v in arguments.items() if v is not None}
        made = networks.create(self._database, **{**defaults, **given})
        in_use = self._in_use()
        reservations.ensure(
            self._database,
            network_uuid=made.uuid,
            host=options.host,
            in_use=in_use,
        )
        text = foreseen(made.cidr, bridge=made.bridge, in_use=in_use)
        if text:
            LOG.warning("%s", text)
        return made

    def heed(self, uuids: Iterable[str]) -> None:
        """Look at all rows, if one of these networks matters here."""
        if any(map(self._reconciler.last.has_network, uuids)):
            self._reconciler.ask(EVERYTHING)

    def delete(self, uuid: str | None) -> None:
        """Delete a network that no instance uses, and its bridge here."""
        if not uuid:
            raise NetworkNotFound("the call names no network")
        networks.delete(self._database, uuid)
        self._reconciler.ask(EVERYTHING)
