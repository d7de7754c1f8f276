"""Frozen values that cross layers: rows, parts, plans, and what was done."""
