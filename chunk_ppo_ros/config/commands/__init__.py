"""The parsers of the commands that start no graph: their flags, examples and texts, made without loading the command.

`--help`, the shell's completion and the generated pages read them, so nothing here imports more than the configuration.
"""
