"""Brings robot and scene to the start of an episode in the way that `episode.reset` names."""
