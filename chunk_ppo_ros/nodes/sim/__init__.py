"""sim_node runs a simulated robot with the topics of the real one."""
