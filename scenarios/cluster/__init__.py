"""Runs on a cluster: a driver that keeps the log and leases out items, and workers that play them."""
