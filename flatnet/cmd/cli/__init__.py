"""`flatnet`, the operator's tool: one small class per command, on cliff."""
