"""The layer 2 guard, and nftables, which it is written in."""
