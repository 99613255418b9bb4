"""Records which chunks a run has trained on, and in which update."""
