"""Tests the exported model in a fresh process before it is pushed."""
