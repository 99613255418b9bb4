"""What the documentation says about settings beside their descriptions."""
