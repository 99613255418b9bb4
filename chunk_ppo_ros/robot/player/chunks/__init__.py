"""How chunks reach the player: their halves, the checks of the whole, and one result for each."""
