"""Code of the user that this package calls, such as reward terms: its numbers, and what is said of its errors."""
