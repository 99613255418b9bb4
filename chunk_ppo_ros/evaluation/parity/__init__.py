"""Our numbers against those that openpi computed."""
