# The libraries, as imported targets: dind::wolfssl, dind::llhttp, dind::cjson, dind::nghttp2.
#
# They are looked for in DIND_PROXY_DEPS first (tools/build-deps fills the default place), then
# wherever CMAKE_PREFIX_PATH and the system's own folders lead. Static libraries come first: the
# program is meant to need the C library alone.
if(DIND_PROXY_STATIC)
    set(deps_default "${PROJECT_SOURCE_DIR}/build/deps-musl")
    set(deps_command "tools/build-deps --musl")
else()
    set(deps_default "${PROJECT_SOURCE_DIR}/build/deps")
    set(deps_command "tools/build-deps")
endif()
set(DIND_PROXY_DEPS "${deps_default}" CACHE PATH "Prefix that tools/build-deps made")

function(dind_find_dependency name header library)
    find_path(${name}_INCLUDE_DIR ${header} PATHS "${DIND_PROXY_DEPS}/include" NO_DEFAULT_PATH)
    find_library(
        ${name}_LIBRARY
        NAMES lib${library}.a ${library}
        PATHS "${DIND_PROXY_DEPS}/lib"
        NO_DEFAULT_PATH
    )
    if(NOT DIND_PROXY_STATIC) # the system's are for the system's C library
        find_path(${name}_INCLUDE_DIR ${header})
        find_library(${name}_LIBRARY NAMES lib${library}.a ${library})
    endif()
    if(NOT ${name}_INCLUDE_DIR OR NOT ${name}_LIBRARY)
        message(
            FATAL_ERROR
                "lib${library} was not found in ${DIND_PROXY_DEPS} nor in the system. "
                "Run ${deps_command}, or name a prefix that has it: -DDIND_PROXY_DEPS=DIR "
                "or -DCMAKE_PREFIX_PATH=DIR."
        )
    endif()
    message(STATUS "lib${library}: ${${name}_LIBRARY}")
    add_library(dind::${library} UNKNOWN IMPORTED)
    set_target_properties(
        dind::${library}
        PROPERTIES
            IMPORTED_LOCATION "${${name}_LIBRARY}"
            INTERFACE_INCLUDE_DIRECTORIES "${${name}_INCLUDE_DIR}"
    )
endfunction()

dind_find_dependency(WOLFSSL wolfssl/options.h wolfssl)
dind_find_dependency(LLHTTP llhttp.h llhttp)
dind_find_dependency(CJSON cjson/cJSON.h cjson)
dind_find_dependency(NGHTTP2 nghttp2/nghttp2.h nghttp2)
set_property(TARGET dind::nghttp2 PROPERTY INTERFACE_COMPILE_DEFINITIONS NGHTTP2_STATICLIB)

# wolfSSL's abilities are fixed when it is built, and its packages differ: say at once what lacks.
file(STRINGS "${WOLFSSL_INCLUDE_DIR}/wolfssl/options.h" wolfssl_defines REGEX "^#define ")
foreach(
    ability
    ATOMIC_USER # the keys of a session, for kernel TLS
    HAVE_ALPN
    HAVE_SECRET_CALLBACK # what the next keys come from
    HAVE_SNI
    HAVE_SESSION_TICKET
    WOLFSSL_ALWAYS_VERIFY_CB # the peer's name
    WOLFSSL_CERT_EXT # certificates of our own making
    WOLFSSL_CERT_GEN
    WOLFSSL_IP_ALT_NAME
    WOLFSSL_TLS13
)
    if(NOT wolfssl_defines MATCHES "#define ${ability}(;| |$)")
        message(
            FATAL_ERROR
                "${WOLFSSL_LIBRARY} was built without ${ability}; ${deps_command} makes one that "
                "has all that is needed."
        )
    endif()
endforeach()
if(NOT wolfssl_defines MATCHES "WOLFSSL_AESNI|WOLFSSL_ARMASM")
    message(WARNING "${WOLFSSL_LIBRARY} was built without assembly: TLS will be slow.")
endif()

# Its mathematics may need libm, which a static library cannot say itself.
find_library(MATH_LIBRARY NAMES m)
if(MATH_LIBRARY OR DIND_PROXY_STATIC) # musl has one
    set_property(TARGET dind::wolfssl PROPERTY INTERFACE_LINK_LIBRARIES "$<LINK_ONLY:m>")
endif()

# gcc, turned to musl by the specs file that tools/build-deps --musl (or --arch) has made.
if(DIND_PROXY_STATIC)
    set(specs "${DIND_PROXY_DEPS}/lib/static-pie.specs")
    if(NOT EXISTS "${specs}")
        message(FATAL_ERROR "${specs} is missing: run ${deps_command}")
    endif()
    target_compile_options(
        dind_options INTERFACE "-specs=${specs}" "SHELL:-idirafter ${DIND_PROXY_DEPS}/uapi"
    )
    target_link_options(dind_options INTERFACE "-specs=${specs}")
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
        # libgcc chooses its atomics by a function that only glibc has.
        target_compile_options(dind_options INTERFACE -mno-outline-atomics)
        target_link_options(dind_options INTERFACE -mno-outline-atomics)
    endif()
endif()
