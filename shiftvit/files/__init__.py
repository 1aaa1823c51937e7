"""Files: atomic writes and disk space. Standard library only."""
