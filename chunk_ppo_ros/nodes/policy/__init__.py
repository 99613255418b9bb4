"""policy_node turns observations into action chunks."""
