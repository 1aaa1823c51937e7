"""HTML pages, charts and number formats. Knows nothing of this project."""
