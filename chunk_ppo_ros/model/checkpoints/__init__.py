"""The folders of checkpoints: reading, writing, and what fits together."""
