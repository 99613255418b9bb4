"""Modules of Pi0-FAST's two towers, SigLIP and Gemma, which keep openpi's parameter tree."""
