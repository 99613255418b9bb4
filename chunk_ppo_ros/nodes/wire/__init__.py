"""Messages from and to types, QoS profiles and ROS parameters."""
