"""Who else is in the graph: which nodes publish and listen, who sent a message, and who is gone."""
