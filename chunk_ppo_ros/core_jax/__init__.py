"""Ground that model/ and rl/ share; JAX."""
