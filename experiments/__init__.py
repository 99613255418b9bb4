"""Learning curves: what chunk PPO learns from an imitation start, what its parts are worth, and what others reach.

`python -m experiments` in the root of a checkout. Not installed with the package: it writes to docs/results/.
"""
