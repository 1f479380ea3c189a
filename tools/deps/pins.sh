# shellcheck shell=bash disable=SC2034  # the variables are read by the files that source this one
# What is built, and the hashes that make it so. A Debian revision newer than the one named here,
# of the same upstream version, is a security update and is accepted: apt has authenticated it.

# The release of Debian that has them all, whatever release this machine runs.
PIN_SUITE=trixie

# The last series of wolfSSL under GPL-2-or-later that Debian keeps patched.
PIN_WOLFSSL_VERSION=5.7.2
PIN_WOLFSSL_REVISION=5.7.2-0.1+deb13u2
PIN_WOLFSSL_SHA256=0f2ed82e345b833242705bbc4b08a2a2037a33f7bf9c610efae6464f6b10e305

PIN_CJSON_VERSION=1.7.18
PIN_CJSON_REVISION=1.7.18-3.1+deb13u1
PIN_CJSON_SHA256=3aa806844a03442c00769b83e99970be70fbef03735ff898f4811dd03b9f5ee5

# Its HPACK decoder alone is used. MIT.
PIN_NGHTTP2_VERSION=1.64.0
PIN_NGHTTP2_REVISION=1.64.0-1.1+deb13u1
PIN_NGHTTP2_SHA256=b452dc69a1fcbc9375389b8b154175d8b7b125cdd713fc426774c2b79a1ebd77

# llhttp is generated C. Debian's binary package holds a static library that needs the C library's
# memset, fprintf and abort alone, so it links with any C library of the architecture.
PIN_LLHTTP_VERSION=9.2.1
PIN_LLHTTP_REVISION='9.2.1~7.3.0+dfsg1+~cs24.12.11-1'
declare -A PIN_LLHTTP_SHA256=(
    [amd64]=c018069b22f5d53ac630bdc360d6c8bc7df78626cfb22276cbfb280aa64ac4b6
    [arm64]=7415055a32bf90e71b63782876792a7ac10c0163b14625d2e735ed151d970361
)

# The C library of a static binary for another processor than this machine's (--arch).
PIN_MUSL_VERSION=1.2.5
PIN_MUSL_REVISION=1.2.5-3.1~deb13u1
declare -A PIN_MUSL_SHA256=(
    [amd64]=a3f7d47e452129bb65aae201d6c115abf4d5d3efb136b38b7c6b4fa03ec065e9
    [arm64]=384ea029e3694baac696d3993d93246f9a4b3741c493697e1ceb7256d8820748
)

# For the end-to-end tests: a newer engine than Debian 12's, with its clients. Version, its upstream
# part up to the first tilde or hyphen, and least revision.
declare -A PIN_DOCKER=(
    [docker.io]='26.1.5+dfsg1 26.1.5+dfsg1-9'
    [docker-cli]='26.1.5+dfsg1 26.1.5+dfsg1-9'
    [containerd]='1.7.24 1.7.24~ds1-6'
    [docker-buildx]='0.13.1+ds1 0.13.1+ds1-3'
    [docker-compose]='2.26.1 2.26.1-4'
)
