"""Claims on what two runs must not share."""
