"""The robot without ROS and without JAX: layout, limits and units of ALOHA, images, sensor sync, chunk player, safety."""
