"""What chunk PPO is compared with: filtered behaviour cloning, and a Gaussian chunk policy under skrl's PPO."""
