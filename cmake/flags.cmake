# Compiler flags of all our code: optimised and hardened, whatever the build type is called.
# Target p11kms_flags carries them; generated code (proto) takes p11kms_hardening alone.
option(P11KMS_FUZZ "build the libFuzzer targets" OFF)
option(P11KMS_COVERAGE "instrument for gcov" OFF)
set(P11KMS_SANITIZE "" CACHE STRING "value of -fsanitize=, empty for none")
# What instruments the roles must reach them by its variables.
set(hooks OFF)
if(P11KMS_SANITIZE OR P11KMS_COVERAGE)
    set(hooks ON)
endif()
option(P11KMS_TEST_HOOKS "never to be shipped: LD_PRELOAD, faketime and sanitizer variables reach the roles" ${hooks})

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

get_property(several_kinds GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT several_kinds)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "kind of build" FORCE)
endif()

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(p11kms_hardening INTERFACE)
target_include_directories(p11kms_hardening INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(p11kms_hardening INTERFACE
    -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing -fvisibility=hidden
    -fno-common)
# The same bytes from any folder. The last map that fits is taken: the build tree may lie within the sources.
foreach(map macro debug)
    target_compile_options(p11kms_hardening INTERFACE -f${map}-prefix-map=${PROJECT_SOURCE_DIR}/=
        -f${map}-prefix-map=${PROJECT_BINARY_DIR}=build)
endforeach()
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

# FORTIFY wherever the compiler optimises, which a packager's CFLAGS may ask for under any name; not where it could
# only warn: without -O, or beside a level given by -Wp,-D, which stays. Asked anew each time, for flags change.
function(p11kms_fortify kind)
    set(CMAKE_TRY_COMPILE_CONFIGURATION ${kind})
    set(CMAKE_REQUIRED_FLAGS "-Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
    unset(fortified_${kind} CACHE)
    check_c_source_compiles("#include <string.h>
#ifndef __OPTIMIZE__
#error not optimised
#endif
int main(void) { return 0; }" fortified_${kind})
    if(fortified_${kind})
        target_compile_options(p11kms_hardening INTERFACE
            $<$<CONFIG:${kind}>:-U_FORTIFY_SOURCE> $<$<CONFIG:${kind}>:-D_FORTIFY_SOURCE=3>)
    endif()
endfunction()
if(NOT P11KMS_SANITIZE)
    foreach(kind ${CMAKE_CONFIGURATION_TYPES} ${CMAKE_BUILD_TYPE})
        p11kms_fortify(${kind})
    endforeach()
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
    -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wsign-conversion -Wshadow -Wcast-qual
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
