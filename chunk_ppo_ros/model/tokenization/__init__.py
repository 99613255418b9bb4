"""Modules that turn prompts, states and action chunks into tokens, and tokens into action chunks."""
