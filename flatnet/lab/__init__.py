"""Several compute nodes in network namespaces on one machine."""
