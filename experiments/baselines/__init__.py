"""The baselines for chunk PPO: filtered behavior cloning, and a Gaussian chunk policy that skrl's PPO trains."""
