"""Holds what test files share, such as small policies and fake nodes. Test files do not import each other."""
