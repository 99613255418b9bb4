"""Demonstrates the tasks with scripted experts."""
