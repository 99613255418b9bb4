"""Reads Parquet files: their columns, the numbers in them, and the statistics that they keep of them."""
