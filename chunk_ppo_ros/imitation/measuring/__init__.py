"""Modules that measure without a robot how well a policy imitates recorded episodes that it was not trained on."""
