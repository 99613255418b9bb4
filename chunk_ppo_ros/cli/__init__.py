"""Commands by name, and the demo."""
