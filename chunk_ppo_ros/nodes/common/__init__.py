"""Code that several nodes share: the worker thread, the lifecycle, conditions, and starting and ending."""
