"""Prepares the start of a run: the learner's state, the tokenizers, and the settings that a checkpoint brings."""
