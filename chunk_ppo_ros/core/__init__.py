"""Defines types and ground truths that every room may import. It imports numpy at most."""
