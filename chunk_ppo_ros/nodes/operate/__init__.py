"""The screen of an operator: what a run does, what it waits for, and keys and pedals for what an operator may do."""
