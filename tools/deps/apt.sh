# shellcheck shell=bash
# Packages of another Debian release, through this machine's own apt: its mirrors, proxy and keys,
# but a private list of sources and private state. Nothing under /etc/apt or /var is touched.
#
# needs: die, say, DEPS_DEBIAN_ARCH (tools/build-deps), PIN_SUITE. Sets nothing but APT_OPTIONS.

declare -a APT_OPTIONS=()

# The stanzas of the machine's sources that carry its own release, as lines
# "URIs|suites|keyring", the suites renamed from $1 to $2. Reads both formats. Options that would
# weaken authentication (trusted, allow-insecure) are left behind on purpose.
apt_derive_stanzas() {
    local from=$1 to=$2 sources_dir=${APT_SOURCES_DIR:-/etc/apt}
    local -a lists=() deb822=()
    mapfile -t lists < <(find "$sources_dir/sources.list" "$sources_dir/sources.list.d" \
        -maxdepth 1 -type f -name '*.list' 2>/dev/null | sort)
    mapfile -t deb822 < <(find "$sources_dir/sources.list.d" \
        -maxdepth 1 -type f -name '*.sources' 2>/dev/null | sort)
    {
        if ((${#lists[@]})); then
            awk -f "$DEPS_DIR/one-line.awk" "${lists[@]}"
        fi
        if ((${#deb822[@]})); then
            # An empty line between files: a stanza must not run on into the next file.
            awk 'FNR == 1 { print "" } { print }' "${deb822[@]}" | awk -f "$DEPS_DIR/deb822.awk"
        fi
    } | awk -F'|' -v OFS='|' -v from="$from" -v to="$to" '
        $3 !~ /(^| )main( |$)/ { next }
        {
            count = split($2, suites, " ")
            renamed = ""
            for (i = 1; i <= count; i++) {
                if (suites[i] == from || suites[i] == "stable" || suites[i] == to) {
                    renamed = renamed " " to
                } else if (suites[i] ~ "^(" from "|stable|" to ")(-security|-updates|/updates)$") {
                    suffix = suites[i]
                    sub(/^[^-\/]*/, "", suffix)
                    if (suffix == "/updates") suffix = "-security"
                    renamed = renamed " " to suffix
                }
            }
            if (renamed != "" && !seen[$1 renamed]++) print $1, substr(renamed, 2), $4
        }'
}

# apt as root downloads as the user _apt, who must be able to write into the folder $1.
apt_download_folder() {
    mkdir "$1"
    if ((EUID == 0)) && id _apt >/dev/null 2>&1; then
        chown _apt "$1"
        chmod 711 "${1%/*}"
    fi
}

# Makes a private apt under the folder $1 that knows PIN_SUITE, and reads its package lists.
apt_prepare() {
    local root=$1 codename='' stanza uris suites keyring
    command -v apt-get >/dev/null || die "there is no apt here: use the --*-source options"
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [[ -n $codename ]] || die "/etc/os-release names no VERSION_CODENAME"
    mkdir -p "$root"/{lists/partial,cache/archives/partial}
    while IFS='|' read -r uris suites keyring; do
        printf 'Types: deb deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "$uris" "$suites"
        printf 'Architectures: %s\nTargets: Packages Sources\n' "$DEPS_DEBIAN_ARCH"
        [[ -z $keyring ]] || printf 'Signed-By: %s\n' "$keyring"
        printf '\n'
    done < <(apt_derive_stanzas "$codename" "$PIN_SUITE") >"$root/derived.sources"
    [[ -s $root/derived.sources ]] ||
        die "apt's sources name no Debian $codename to derive $PIN_SUITE from; see --wolfssl-source"
    # Read after the machine's configuration: hooks that tidy the machine's own caches stay out.
    cat >"$root/apt.conf" <<-END
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear DPkg::Post-Invoke;
	Dir::Etc::sourcelist "$root/derived.sources";
	Dir::Etc::sourceparts "/dev/null";
	Dir::State::lists "$root/lists";
	Dir::Cache "$root/cache";
	Dir::Cache::pkgcache "pkgcache.bin";
	Dir::Cache::srcpkgcache "srcpkgcache.bin";
	Acquire::Languages "none";
	APT::Architecture "$DEPS_DEBIAN_ARCH";
	APT::Architectures { "$DEPS_DEBIAN_ARCH"; };
	END
    APT_OPTIONS=(-qq -c "$root/apt.conf")
    stanza=$(apt-get "${APT_OPTIONS[@]}" update 2>&1) ||
        say "some of the derived sources did not answer: $stanza"
}

# Downloads into the new folder $1 the newest revision of the source package $2 whose upstream version is
# $3 and that is not older than $4. Prints the revision.
apt_fetch_source() {
    local folder=$1 package=$2 upstream=$3 least=$4 revision
    local -a found=()
    while read -r revision; do
        [[ ${revision%-*} == "$upstream" ]] || continue
        dpkg --compare-versions "$revision" ge "$least" || continue
        found+=("$revision")
    done < <(apt-cache "${APT_OPTIONS[@]}" showsrc --only-source "$package" 2>/dev/null |
        sed -n 's/^Version: //p' | sort -ruV)
    ((${#found[@]})) ||
        die "apt has no source of $package $upstream at revision $least or newer"
    apt_download_folder "$folder"
    # A mirror may list a revision before it has it.
    for revision in "${found[@]}"; do
        (
            cd "$folder" || exit
            apt-get "${APT_OPTIONS[@]}" source --only-source --download-only "$package=$revision" >&2
        ) && break
        say "the source of $package $revision could not be downloaded"
        find "$folder" -type f -name "${package}_*" -delete
        revision=''
    done
    [[ -n $revision ]] || die "no source of $package $upstream could be downloaded"
    echo "$revision"
}

# The same for a binary package for DEPS_DEBIAN_ARCH; its version has upstream's in front
# of the first tilde.
apt_fetch_binary() {
    local folder=$1 package=$2 upstream=$3 least=$4 revision best=''
    while read -r revision; do
        [[ ${revision%%[~-]*} == "$upstream" ]] || continue
        dpkg --compare-versions "$revision" ge "$least" || continue
        if [[ -z $best ]] || dpkg --compare-versions "$revision" gt "$best"; then
            best=$revision
        fi
    done < <(apt-cache "${APT_OPTIONS[@]}" show "$package" 2>/dev/null | sed -n 's/^Version: //p')
    [[ -n $best ]] || die "apt has no $package $upstream at revision $least or newer"
    apt_download_folder "$folder"
    (
        cd "$folder" || exit
        apt-get "${APT_OPTIONS[@]}" download "$package=$best" >&2
    ) || die "$package $best could not be downloaded"
    echo "$best"
}
