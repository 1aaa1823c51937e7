"""Data sources: each reads a data set into the records that ExampleGen ingests."""
