"""The client's methods about leases: casts, for which nobody waits."""

from flatnet.rpc.caller import Caller, Json


class LeaseCalls(Caller):
    """One method for each RPC method, as `NetworkAPI`.

    Any host may be told.
    """

    def lease_fixed_ip(self, context: Json, *, address: str, mac: str) -> None:
        """Say that an interface has leased its address."""
        self._cast(context, "lease_fixed_ip", address=address, mac=mac)

    def release_fixed_ip(
        self, context: Json, *, address: str, mac: str
    ) -> None:
        """Say that its lease has ended.

        An address that is no more allocated is free then.
        """
        self._cast(context, "release_fixed_ip", address=address, mac=mac)
