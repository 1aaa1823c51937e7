from soak_table import pytest_configure  # noqa: F401  # prints the table of results
