"""The robot without ROS and JAX: layout, limits and units of ALOHA, images, sensor sync, chunk player, safety."""
