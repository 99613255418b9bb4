"""What robot_node does between episodes when an operator or a program asks for it by a service."""
