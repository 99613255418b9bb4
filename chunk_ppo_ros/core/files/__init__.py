"""Writes files and folders so that they survive a power cut, and checks what is read back."""
