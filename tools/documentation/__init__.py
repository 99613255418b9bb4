"""Builds the documentation site, makes its reference pages from the code, and finds the commands of all documents."""
