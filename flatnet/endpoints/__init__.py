"""What callers may ask of a daemon."""
