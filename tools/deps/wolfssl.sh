# shellcheck shell=bash
# wolfSSL: static, with assembly, with what tls/ needs and little else.
#
# needs: run, target_arch, DEPS_CFLAGS, DEPS_CC, DEPS_AR, DEPS_HOST, DEPS_ASM, DEPS_JOBS,
# DEPS_UAPI (tools/build-deps).

wolfssl_flags() {
    local -a flags=(
        --disable-shared --enable-static
        --disable-examples --disable-crypttests
        --enable-reproducible-build
        --disable-oldnames
        # Protocol: TLS 1.2 and 1.3, tickets, ALPN, SNI, the peer valid for an IP address.
        --disable-oldtls --enable-tls13 --enable-tlsv12
        --enable-session-ticket --enable-alpn --enable-sni --enable-ip-alt-name
        # Renegotiation is not supported; the empty extension that says so (RFC 5746) is sent,
        # because OpenSSL 3 refuses TLS 1.2 servers without it.
        --disable-secure-renegotiation --enable-secure-renegotiation-info
        # The keys of a session, which kernel TLS needs.
        --enable-atomicuser
        # Algorithms.
        --enable-aesgcm --enable-chacha --enable-poly1305
        --enable-ecc --enable-supportedcurves --enable-curve25519 --enable-ed25519
        '--enable-sp=yes,4096' --enable-sp-math-all
        --disable-des3 --disable-arc4 --disable-md5 --disable-psk --disable-dh --disable-pkcs12
        --disable-ocsp --disable-crl --disable-sys-ca-certs
        # Keys and certificates made by ourselves.
        --enable-keygen --enable-certgen --enable-certext --enable-certreq
    )
    if ((DEPS_ASM)); then
        case $(target_arch) in
            x86_64) flags+=(--enable-intelasm --enable-sp-asm) ;;
            # Needs the cryptography extension of ARMv8 (almost every server has it).
            aarch64) flags+=(--enable-armasm --enable-sp-asm) ;;
        esac
    fi
    printf '%s\n' "${flags[@]}"
}

# WOLFSSL_ALWAYS_VERIFY_CB: tls/ learns who the peer is when the chain is verified.
# WOLFSSL_TICKET_EXTRA_PADDING_SZ: room for that name in our session tickets.
# HAVE_SECRET_CALLBACK: the traffic secrets of TLS 1.3, from which kernel TLS gets new keys.
# WOLFSSL_GETRANDOM: randomness by system call, so that an empty root folder will do.
WOLFSSL_DEFINES='-DWOLFSSL_ALWAYS_VERIFY_CB -DWOLFSSL_TICKET_EXTRA_PADDING_SZ=128 -DHAVE_SECRET_CALLBACK -DWOLFSSL_GETRANDOM'

# Builds the tree $1 for the prefix $2, installed under the folder $3.
wolfssl_build() {
    local tree=$1 prefix=$2 stage=$3 build=$1/../wolfssl-build
    local -a flags
    mapfile -t flags < <(wolfssl_flags)
    if [[ -n $DEPS_HOST ]]; then
        flags+=("--host=$DEPS_HOST" "AR=$DEPS_AR" "RANLIB=$DEPS_HOST-ranlib")
    fi
    if [[ ! -x $tree/configure ]]; then
        (
            cd "$tree" || exit
            run ./autogen.sh
        )
    fi
    mkdir "$build"
    (
        cd "$build" || exit
        run "$tree/configure" --prefix="$prefix" "${flags[@]}" CC="$DEPS_CC" \
            CFLAGS="$DEPS_CFLAGS $DEPS_UAPI -ffile-prefix-map=$tree=wolfssl $WOLFSSL_DEFINES"
        run make -j"$DEPS_JOBS"
        run make install DESTDIR="$stage"
    )
    rm -rf "${stage:?}$prefix"/{bin,share,lib/*.la}
}
