"""policy_node: observations to action chunks."""
