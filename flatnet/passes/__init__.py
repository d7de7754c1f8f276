"""Asks fold into passes, and what becomes of these."""
