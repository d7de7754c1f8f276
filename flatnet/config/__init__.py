"""What the operator sets: options, their files, and frozen values."""
