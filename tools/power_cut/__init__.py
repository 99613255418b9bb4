"""Replays what a power cut leaves of each stored file, and damages stored files at random."""
