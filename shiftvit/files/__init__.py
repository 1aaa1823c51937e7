"""Files: atomic writes, disk space and locks. Standard library only."""
