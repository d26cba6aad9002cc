# The build date is a floor for the wall clock and part of the build's name. It is the date of the sources, so that
# the same sources give the same bytes: SOURCE_DATE_EPOCH, else that of the commit, else (a tarball) of the file.
set(P11KMS_BUILD_DATE "$ENV{SOURCE_DATE_EPOCH}")
if(NOT P11KMS_BUILD_DATE AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
    execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} log -1 --format=%ct
        OUTPUT_VARIABLE P11KMS_BUILD_DATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT P11KMS_BUILD_DATE)
    file(TIMESTAMP ${PROJECT_SOURCE_DIR}/CMakeLists.txt P11KMS_BUILD_DATE "%s" UTC)
endif()
if(NOT P11KMS_BUILD_DATE MATCHES "^[0-9]+$")
    message(FATAL_ERROR "SOURCE_DATE_EPOCH is no number of seconds: ${P11KMS_BUILD_DATE}")
endif()
if(P11KMS_TEST_HOOKS)
    set(P11KMS_TEST_BUILD 1)
else()
    set(P11KMS_TEST_BUILD 0)
endif()
configure_file(${PROJECT_SOURCE_DIR}/base/version.h.in ${PROJECT_BINARY_DIR}/base/version.h @ONLY)
