"""Records which chunks a run has trained on, in which update, and how far its numbers have come."""
