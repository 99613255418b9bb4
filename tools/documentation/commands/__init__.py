"""Finds the commands of the documents, checks their flags, and runs those that need no robot."""
