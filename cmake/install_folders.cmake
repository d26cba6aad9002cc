# Runs at install, first. What is missing of `folders` is made so that everybody may enter it, whatever the umask of who
# installs: the daemon's user must reach its programs. (CMake's own default permissions obey the umask.) Folders that are
# there stay as they are.
foreach(folder IN LISTS folders)
    cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" NORMALIZE)
    set(missing "")
    set(path "$ENV{DESTDIR}${folder}")
    while(NOT EXISTS "${path}")
        list(PREPEND missing "${path}")
        cmake_path(GET path PARENT_PATH path)
    endwhile()
    foreach(path IN LISTS missing)
        file(MAKE_DIRECTORY "${path}")
        file(CHMOD "${path}" DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
             GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
    endforeach()
endforeach()
