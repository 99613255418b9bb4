"""Modules of the policy in JAX: its towers, tokenizers, decoding constraint and checkpoints."""
