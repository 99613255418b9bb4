"""trainer_node trains on transitions and announces new weights."""
