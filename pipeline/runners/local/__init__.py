"""Runs the graph on this machine, in a child process."""
