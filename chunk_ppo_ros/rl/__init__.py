"""PPO over action chunks: discounts, GAE, losses and the update. It knows an `evaluate` function, not a model class."""
