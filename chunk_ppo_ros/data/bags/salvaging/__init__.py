"""Makes whole bags of parts that a recorder did not end, so that every reader of rosbag2 reads them."""
