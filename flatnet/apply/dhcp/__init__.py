"""dnsmasq: its files, its processes, and what it knows."""
