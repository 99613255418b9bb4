"""Makes rewards from terms, and assembles and delivers transitions, without ROS and JAX."""
