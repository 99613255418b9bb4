"""The reference pages of the site, which are made from the code."""
