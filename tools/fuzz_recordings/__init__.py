"""Damages recordings of all formats at random, and judges what the readers make of them."""
