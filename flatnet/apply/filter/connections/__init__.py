"""Tracked connections, and which of them may go on."""
