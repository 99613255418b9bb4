"""classifier_node is a reward source that recognizes success in images."""
