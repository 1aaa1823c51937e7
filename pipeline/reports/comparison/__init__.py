"""Runs beside each other: what differs in their settings, and what that did. Imports no TensorFlow."""
