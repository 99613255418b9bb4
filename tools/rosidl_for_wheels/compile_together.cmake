# Compiles the C++ files of each type support together, a few at a time. Most of their time goes into the same headers.
#
# build_messages.py gives this file to CMake as CMAKE_PROJECT_INCLUDE where the generators are those of the ROS wheels, whose
# files can be compiled so. The C files cannot, because they define the same names.
function(compile_together)
  get_property(targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    if(target MATCHES "__rosidl_typesupport_(c|fastrtps_c)$")
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 11)
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL compile_together)
