"""What a run starts with: the learner's state, tokenizers, and the settings that a checkpoint brings."""
