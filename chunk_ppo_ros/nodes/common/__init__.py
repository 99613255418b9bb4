"""What several nodes share: the worker thread, the life cycle, running and ending."""
