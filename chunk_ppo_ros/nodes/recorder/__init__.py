"""recorder_node: the topics of a run as a bag."""
