"""Decides what follows where a process of a node ends, and how soon it is started anew."""
