"""Tells where the run is: its state, what it waits for, how its episodes ended, and where its time went."""
