"""Turns the messages of sensors into arrays and back."""
