# Compiler flags of all our code: warnings are errors, hardening is on in every preset that allows it.
# Target p11kms_flags carries them; generated code (proto) takes p11kms_hardening alone.
option(P11KMS_TESTS "build the tests" ON)
option(P11KMS_RELEASE "a build to ship: no test variables reach the roles" OFF)
option(P11KMS_FUZZ "build the libFuzzer targets" OFF)
option(P11KMS_COVERAGE "instrument for gcov" OFF)
set(P11KMS_SANITIZE "" CACHE STRING "value of -fsanitize=, empty for none")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

include(CheckCCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(p11kms_hardening INTERFACE)
target_include_directories(p11kms_hardening INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(p11kms_hardening INTERFACE
    -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing -fvisibility=hidden
    -fno-common -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_link_options(p11kms_hardening INTERFACE
    -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed)

function(p11kms_flag_if_known flag)
    string(MAKE_C_IDENTIFIER "have${flag}" have)
    check_c_compiler_flag("-Werror ${flag}" ${have})
    if(${have})
        target_compile_options(p11kms_hardening INTERFACE ${flag})
    endif()
endfunction()
p11kms_flag_if_known(-fstack-protector-strong)
p11kms_flag_if_known(-fstack-clash-protection)
p11kms_flag_if_known(-fcf-protection=full)
p11kms_flag_if_known(-ftrivial-auto-var-init=zero)
p11kms_flag_if_known(-fzero-call-used-regs=used-gpr)
p11kms_flag_if_known(-fstrict-flex-arrays=3)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(p11kms_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(P11KMS_SANITIZE)
    target_compile_options(p11kms_hardening INTERFACE
        -fsanitize=${P11KMS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(p11kms_hardening INTERFACE -fsanitize=${P11KMS_SANITIZE})
endif()
if(P11KMS_FUZZ)
    target_compile_options(p11kms_hardening INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(P11KMS_COVERAGE)
    # Atomic: threads and forked children count in the same lines.
    target_compile_options(p11kms_hardening INTERFACE --coverage -O0 -fprofile-update=atomic)
    target_link_options(p11kms_hardening INTERFACE --coverage)
endif()

add_library(p11kms_flags INTERFACE)
target_link_libraries(p11kms_flags INTERFACE p11kms_hardening)
target_compile_options(p11kms_flags INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wformat=2 -Wconversion -Wsign-conversion -Wshadow -Wcast-qual
    -Wswitch-enum -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wimplicit-fallthrough -Wundef)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(p11kms_flags INTERFACE -Wtrampolines)
elseif(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    target_compile_options(p11kms_flags INTERFACE -Wno-gnu-auto-type)
endif()

# A room: a static library with our flags. p11kms_room(NAME SOURCES… [USES libraries…])
# Third-party libraries are PRIVATE, rooms PUBLIC.
function(p11kms_room name)
    cmake_parse_arguments(ARG "" "" "SOURCES;ROOMS;LIBS" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC ${ARG_ROOMS} PRIVATE p11kms_flags ${ARG_LIBS})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
endfunction()
