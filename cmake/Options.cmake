# What every source file of ours is compiled and linked with: the interface target dind_options.
include(CheckCCompilerFlag)
include(CheckIPOSupported)
include(CheckLinkerFlag)

add_library(dind_options INTERFACE)
target_include_directories(dind_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(
    dind_options INTERFACE _GNU_SOURCE DIND_PROXY_VERSION="${PROJECT_VERSION}"
)
target_compile_options(
    dind_options
    INTERFACE
        -Wall
        -Wextra
        -Wconversion
        -Wshadow
        -Wstrict-prototypes
        -Wmissing-prototypes
        -Wvla
        # Log lines and error texts must not depend on where somebody unpacked the sources.
        "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/="
)
if(DIND_PROXY_WERROR)
    target_compile_options(dind_options INTERFACE -Werror)
endif()

set(CMAKE_THREAD_PREFER_PTHREAD ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
target_link_libraries(dind_options INTERFACE Threads::Threads)

# Adds each flag that the compiler knows; which do depends on the processor and the compiler.
function(dind_add_compile_flags)
    foreach(flag IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "HAVE_C_FLAG${flag}" known)
        check_c_compiler_flag("${flag}" ${known})
        if(${known})
            target_compile_options(dind_options INTERFACE "${flag}")
        endif()
    endforeach()
endfunction()

function(dind_add_link_flags)
    foreach(flag IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "HAVE_LINK_FLAG${flag}" known)
        check_linker_flag(C "${flag}" ${known})
        if(${known})
            target_link_options(dind_options INTERFACE "${flag}")
        endif()
    endforeach()
endfunction()

if(DIND_PROXY_HARDENING)
    dind_add_compile_flags(
        -fstack-protector-strong
        -fstack-clash-protection
        -ftrivial-auto-var-init=zero
        -fno-delete-null-pointer-checks
        -fno-strict-overflow
    )
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
        dind_add_compile_flags(-fcf-protection=full)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
        dind_add_compile_flags(-mbranch-protection=standard)
    endif()
    # Some compilers define it themselves, at a lower level; it means nothing without optimisation.
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_options(dind_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    endif()
    dind_add_link_flags(
        -Wl,-z,relro
        -Wl,-z,now
        -Wl,-z,noexecstack
        -Wl,-z,separate-code
        -Wl,--as-needed
        # The libraries hold far more than is called.
        -Wl,--gc-sections
    )
endif()

if(DIND_PROXY_SANITIZE)
    target_compile_options(
        dind_options
        INTERFACE
            "-fsanitize=${DIND_PROXY_SANITIZE}"
            -fno-sanitize-recover=all
            -fno-omit-frame-pointer
    )
    target_link_options(dind_options INTERFACE "-fsanitize=${DIND_PROXY_SANITIZE}")
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT DIND_PROXY_STATIC)
    # Without it CMake compiles for PIE but does not link so.
    include(CheckPIESupported)
    check_pie_supported(LANGUAGES C)
endif()

if(DIND_PROXY_LTO)
    check_ipo_supported(RESULT lto_works OUTPUT lto_output LANGUAGES C)
    if(lto_works)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    else()
        message(WARNING "This compiler has no link-time optimisation: ${lto_output}")
    endif()
endif()
