"""sim_node: the simulated robot behind the topics of the real one."""
