"""The benchmark: what flatnet costs, each figure beside its floor."""
