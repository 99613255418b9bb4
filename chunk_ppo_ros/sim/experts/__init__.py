"""Scripted demonstrators of the tasks."""
