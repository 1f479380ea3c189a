# shellcheck shell=bash
# What a static binary with musl takes besides the three libraries.
#
# needs: die, run, work, DEPS_CC, DEPS_HOST (tools/build-deps). Sets DEPS_UAPI, and DEPS_CC for another
# processor.

# Fills $1/uapi with links to the kernel's headers in the folders $2…, the first that has each.
# musl's headers are seen alone; the kernel's (linux/tls.h) belong to no C library. They are searched
# last.
link_uapi() {
    local stage=$1 folder place
    shift
    mkdir -p "$stage/uapi"
    for folder in linux asm asm-generic; do
        for place in "$@"; do
            if [[ -d $place/$folder ]]; then
                ln -s "$place/$folder" "$stage/uapi/$folder"
                break
            fi
        done
        [[ -e $stage/uapi/$folder ]] || die "the kernel's headers ($folder/) are in none of: $*"
    done
    # shellcheck disable=SC2034  # read by wolfssl_build
    DEPS_UAPI="-idirafter $stage/uapi"
}

# Fills the prefix $1 with uapi/ and lib/static-pie.specs.
musl_support() {
    local stage=$1 place wrapper specs
    mkdir -p "$stage/lib"
    link_uapi "$stage" "/usr/include/$(gcc -print-multiarch)" /usr/include

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

# Specs for gcc that turn it to the musl below $1, for a static program whose address is random.
musl_specs() {
    cat <<-END
	%rename cpp_options gnu_cpp_options

	*cpp_options:
	-nostdinc -isystem $1/include -isystem include%s %(gnu_cpp_options)

	*cc1:
	%(cc1_cpu) -nostdinc -isystem $1/include -isystem include%s

	*link_libgcc:
	-L$1/lib -L .%s

	*libgcc:
	libgcc.a%s

	*startfile:
	$1/lib/rcrt1.o $1/lib/crti.o crtbeginS.o%s

	*endfile:
	crtendS.o%s $1/lib/crtn.o

	*link:
	-static -pie --no-dynamic-linker -z text -nostdlib

	END
}

# Unpacks the package $1 (musl-dev of another processor) into the staged prefix $2, which will be
# $3; makes the same files there as musl_support does.
musl_cross_support() {
    local package=$1 stage=$2 prefix=$3 place
    mkdir -p "$stage/lib" "$stage/musl"
    run dpkg-deb -x "$package" "$stage/unpacked"
    for place in include lib; do
        mv "$stage/unpacked/usr/$place"/*-linux-musl* "$stage/musl/$place" ||
            die "${package##*/} has no usr/$place/*-linux-musl"
    done
    rm -rf "$stage/unpacked" "$stage"/musl/lib/*.so*
    [[ -f $stage/musl/lib/rcrt1.o ]] || die "${package##*/} has no rcrt1.o"
    link_uapi "$stage" "/usr/$DEPS_HOST/include" "/usr/include/$DEPS_HOST" /usr/include
    musl_specs "$prefix/musl" >"$stage/lib/static-pie.specs"
    # Until all is in its place.
    # shellcheck disable=SC2154  # work is of tools/build-deps
    musl_specs "$stage/musl" >"$work/musl.specs"
    DEPS_CC+=" -specs=$work/musl.specs"
}
