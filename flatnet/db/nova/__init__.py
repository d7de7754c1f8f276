"""What nova-network left in nova's database, judged and taken over."""
