"""What an operator can ask for, by which key, and which command lines ask for the same."""
