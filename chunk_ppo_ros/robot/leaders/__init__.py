"""The leader arms: how they are followed, aligned with the followers, gripped and let go. Nothing here knows ROS."""
