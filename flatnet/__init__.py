"""flatnet: flat networking for virtual machines, one daemon per host."""

__version__ = "0.1.0"
