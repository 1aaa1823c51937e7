"""The `shiftvit` command. Imports nothing heavy, so that it starts at once."""
