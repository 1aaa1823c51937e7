"""The report of a search: one HTML page for people, which needs nothing beside itself."""
