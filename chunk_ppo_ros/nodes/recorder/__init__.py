"""recorder_node records the topics of a run into a bag."""
