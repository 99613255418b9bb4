"""Reports on chunks, which are stored and sent again until the outcome of the chunk is known."""
