"""Types and ground truths that every room may import; numpy at most."""
