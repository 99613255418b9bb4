"""From prompts, states and action chunks to tokens and back."""
