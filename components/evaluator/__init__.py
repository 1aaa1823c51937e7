"""The gate on the test split: what is measured of a model and demanded of it, and why it was refused."""
