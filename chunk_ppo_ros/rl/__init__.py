"""Modules of PPO over action chunks: GAE, losses and the update. They know an `evaluate` function, no model class."""
