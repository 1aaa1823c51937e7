"""Atomic writes, disk space, file locks and leases, states of work, paths and text."""
