"""Bridges, ports, addresses and what the kernel has of them."""
