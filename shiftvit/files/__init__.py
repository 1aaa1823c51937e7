"""Atomic writes, disk space and file locks."""
