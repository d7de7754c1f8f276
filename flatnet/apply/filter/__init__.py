"""What may reach whom, put into effect with iptables and address sets."""
