"""Measures learning curves of chunk PPO after imitation, of its variants, and of other methods.

Run `python -m experiments` in the root of a checkout. This folder is not installed with the package, because it writes
to docs/results/.
"""
