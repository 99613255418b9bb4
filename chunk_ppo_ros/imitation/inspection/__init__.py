"""The command `inspect`, and the checks of recorded episodes that run before an imitation."""
