# Lets rosidl generate what nodes in Python need on Fast DDS, and neither C++ nor what other middleware needs.
#
# The ROS wheels bring no other middleware and no compiled nodes. CMake finds this file in the place of rosidl's own one where
# build_messages.py names this folder as rosidl_default_generators_DIR.
find_package(rosidl_core_generators REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "^[a-z_]+_(cpp|introspection_c):")
