"""Pi0-FAST's two towers, SigLIP and Gemma, with openpi's parameter tree."""
