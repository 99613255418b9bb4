"""Writes files and folders so that they survive a power cut, checks what is read back, and says who uses a file."""
