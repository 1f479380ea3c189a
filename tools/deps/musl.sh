# shellcheck shell=bash
# What a static binary with musl takes besides the three libraries.
#
# needs: die (tools/build-deps). Sets DEPS_UAPI.

# Fills the prefix $1 with uapi/ and lib/static-pie.specs.
musl_support() {
    local stage=$1 multiarch folder place wrapper specs
    # musl-gcc sees musl's headers alone; the kernel's (linux/tls.h) belong to no C library. The
    # links lead to the system's, where the compiler finds them last.
    mkdir -p "$stage/uapi" "$stage/lib"
    multiarch=$(gcc -print-multiarch)
    for folder in linux asm asm-generic; do
        for place in "/usr/include/$multiarch" /usr/include; do
            if [[ -d $place/$folder ]]; then
                ln -s "$place/$folder" "$stage/uapi/$folder"
                break
            fi
        done
    done
    # shellcheck disable=SC2034  # read by wolfssl_build
    DEPS_UAPI="-idirafter $stage/uapi"

    # The wrapper's specs know dynamic and plain static programs only. For a static one whose address
    # is still random it takes musl's self-relocating start file and no loader.
    wrapper=$(command -v musl-gcc) || die "musl-gcc is missing (tools/install-packages static)"
    specs=$(sed -n 's/.*-specs[= ]"\{0,1\}\([^" ]*\).*/\1/p' "$wrapper")
    [[ -f $specs ]] || die "$wrapper names no specs file"
    sed -e '/Scrt1\.o/s/^.*$/rcrt1.o crti.o crtbeginS.o%s/' \
        -e 's/^-dynamic-linker .*$/-static -pie --no-dynamic-linker -z text -nostdlib/' \
        "$specs" >"$stage/lib/static-pie.specs"
    place=$(sed -n 's/^-L\([^ ]*\) .*/\1/p' "$specs")
    [[ -f $place/rcrt1.o ]] || die "musl's rcrt1.o is not in ${place:-the place that $specs names}"
    sed -i "s|^rcrt1\.o crti\.o|$place/rcrt1.o $place/crti.o|" "$stage/lib/static-pie.specs"
}
