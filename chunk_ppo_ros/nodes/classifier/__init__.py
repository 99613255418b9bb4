"""classifier_node: success from images, as a source of rewards."""
