"""Atomic writes, disk space, file locks, paths and text."""
