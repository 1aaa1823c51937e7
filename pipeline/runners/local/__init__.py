"""Runs the graph on this machine, in a process of its own."""
