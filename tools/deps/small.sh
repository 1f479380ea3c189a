# shellcheck shell=bash
# cJSON, llhttp and nghttp2: C files that need no configuring.
#
# needs: run, DEPS_CC, DEPS_AR, DEPS_CFLAGS (tools/build-deps).

# Compiles the C files $3… into the static library $2 with the include folder $1.
static_library() {
    local include=$1 library=$2 source object
    shift 2
    local -a objects=()
    for source in "$@"; do
        object=${source%.c}.o
        # DEPS_CFLAGS is a list of words.
        # shellcheck disable=SC2086
        run $DEPS_CC $DEPS_CFLAGS -I"$include" "-ffile-prefix-map=${source%/*}=." -c "$source" -o "$object"
        objects+=("$object")
    done
    run "$DEPS_AR" rcsD "$library" "${objects[@]}"
}

# Tree $1, installed in $2.
cjson_build() {
    mkdir -p "$2/include/cjson" "$2/lib"
    cp "$1/cJSON.h" "$2/include/cjson/"
    static_library "$1" "$2/lib/libcjson.a" "$1/cJSON.c"
}

# Tree $1 of version $3, installed in $2.
nghttp2_build() {
    local tree=$1 stage=$2 version=$3 number part
    local -a parts
    IFS=. read -r -a parts <<<"$version"
    number=$(printf '0x%02x%02x%02x' "${parts[@]}")
    mkdir -p "$stage/include/nghttp2" "$stage/lib"
    for part in nghttp2.h nghttp2ver.h; do
        if [[ -f $tree/lib/includes/nghttp2/$part ]]; then
            cp "$tree/lib/includes/nghttp2/$part" "$stage/include/nghttp2/"
        else
            sed "s/@PACKAGE_VERSION@/$version/; s/@PACKAGE_VERSION_NUM@/$number/" \
                "$tree/lib/includes/nghttp2/$part.in" >"$stage/include/nghttp2/$part"
        fi
    done
    DEPS_CFLAGS="$DEPS_CFLAGS -DNGHTTP2_STATICLIB -DHAVE_ARPA_INET_H -DHAVE_NETINET_IN_H -DHAVE_CLOCK_GETTIME -DHAVE_DECL_CLOCK_MONOTONIC=1" \
        static_library "$stage/include" "$stage/lib/libnghttp2.a" "$tree"/lib/*.c
}

# Upstream's release tree $1 (generated C), installed in $2.
llhttp_build() {
    mkdir -p "$2/include" "$2/lib"
    cp "$1/include/llhttp.h" "$2/include/"
    static_library "$1/include" "$2/lib/libllhttp.a" "$1"/src/{api,http,llhttp}.c
}

# Debian's binary package $1, installed in $2.
llhttp_unpack() {
    local tree=$2/llhttp-package
    mkdir -p "$tree" "$2/include" "$2/lib"
    run dpkg-deb -x "$1" "$tree"
    cp "$tree/usr/include/llhttp.h" "$2/include/"
    cp "$tree"/usr/lib/*/libllhttp.a "$2/lib/"
    rm -rf "$tree"
}
