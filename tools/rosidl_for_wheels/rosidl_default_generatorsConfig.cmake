# Lets rosidl generate what nodes in Python need, and nothing for C++.
#
# The ROS wheels bring no compiled nodes. CMake finds this file in the place of rosidl's own one where build_messages.py names
# this folder as rosidl_default_generators_DIR. The introspection stays, because Fast DDS describes the types by it.
find_package(rosidl_core_generators REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "^[a-z_]+_cpp:")
