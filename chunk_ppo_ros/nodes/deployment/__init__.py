"""deployment_node stands in the place of trainer_node where a checkpoint acts and nothing is trained."""
