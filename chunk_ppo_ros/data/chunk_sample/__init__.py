"""A sample of a run's chunks, which its page shows: the numbers of recent chunks, and the images of two episodes."""
