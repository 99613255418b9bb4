"""The policy in JAX: towers, tokenizers, decoding constraint, checkpoints."""
