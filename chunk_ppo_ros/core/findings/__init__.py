"""What the checks of commands find, and how it is written for people and programs."""
