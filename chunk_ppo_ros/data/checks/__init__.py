"""Checks of recorded episodes: one pass collects statistics in bounded memory, and findings are made of them."""
