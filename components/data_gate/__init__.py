"""The gate between the data and everything that trains on it."""
