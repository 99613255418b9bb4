"""The stored things that power cuts are replayed for."""
