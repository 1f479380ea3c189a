#!/bin/sh
# Entrypoint of the agent's container: closes the ways to dind that go past dind-proxy, gives up root,
# and becomes the command.
#
#   entrypoint.sh COMMAND [ARGUMENT]...
#
#   JAILOC_DIND            names or addresses of dind, all that it has (default: dind)
#   JAILOC_DIND_PORTS      its ports (default: 2375 2376)
#   JAILOC_DIND_ELSEWHERE  1: dind is on a network that this container is not on, so its name need not
#                          resolve; what does resolve is closed all the same
#   JAILOC_RESOLVE_SECONDS how long a name may take to resolve (default: 10)
#   JAILOC_USER            UID:GID of the command (default: 1000:1000)
#
# Starts as root with CAP_NET_ADMIN, CAP_SETUID and CAP_SETGID (CAP_SETPCAP too, to empty the bounding
# set), and needs iptables and setpriv (util-linux). Whatever cannot be done ends it: the command
# never runs with a way open. Running it again leaves the same rules.
set -eu
umask 022

CHAIN=JAILOC-OUTPUT
dinds=${JAILOC_DIND:-dind}
ports=${JAILOC_DIND_PORTS:-2375 2376}
elsewhere=${JAILOC_DIND_ELSEWHERE:-0}
patience=${JAILOC_RESOLVE_SECONDS:-10}
user=${JAILOC_USER:-1000:1000}

say() { printf 'jailoc: %s\n' "$*" >&2; }
die() {
    say "FATAL: $*"
    exit 1
}

[ $# -gt 0 ] || die "there is no command to run"
case $user in
    *[!0-9:]* | *:*:* | :* | *: | '') die "JAILOC_USER=$user is not UID:GID" ;;
    *:*) ;;
    *) user=$user:$user ;;
esac
uid=${user%%:*} gid=${user#*:}
# Root could flush the rules.
if [ "$uid" -eq 0 ] || [ "$gid" -eq 0 ]; then
    die "JAILOC_USER=$user is root"
fi
for port in $ports; do
    case $port in
        *[!0-9]* | '') die "JAILOC_DIND_PORTS: $port is no port" ;;
    esac
done
# By its path: busybox's shell would take its own, which cannot change the user.
setpriv=''
for folder in $(printf '%s' "$PATH" | tr ':' ' '); do
    if [ -x "$folder/setpriv" ] && "$folder/setpriv" --help 2>&1 | grep -q -e --reuid; then
        setpriv=$folder/setpriv
        break
    fi
done
[ -n "$setpriv" ] || die "setpriv (of util-linux) is not installed"

# The kernel has nf_tables or the older tables or both, and a rule of either drops the packet.
# working ip|ip6: the first command of that family that can list the chain.
working() {
    for variant in "$1tables" "$1tables-nft" "$1tables-legacy"; do
        if command -v "$variant" >/dev/null && "$variant" -w -n -L OUTPUT >/dev/null 2>&1; then
            echo "$variant"
            return
        fi
    done
    return 1
}
ipt=$(working ip) || die "neither iptables-nft nor iptables-legacy works here: is NET_ADMIN given?"
# Without an IPv6 address there is nothing to close. Lines end with the interface.
ipt6=''
if grep -qsv ' lo$' /proc/net/if_inet6; then
    ipt6=$(working ip6) || die "there is IPv6 here, but no ip6tables works"
fi

# addresses NAME: all, one a line.
addresses() {
    case $1 in
        *[!0-9.]*) ;;
        *.*.*.*)
            echo "$1"
            return
            ;;
    esac
    case $1 in
        *:*) echo "$1" ;;
        # Status 2 says that there is no such name; asking again would only take time.
        *)
            { getent ahosts "$1" || [ $? -eq 2 ] || getent hosts "$1"; } 2>/dev/null |
                awk '{ print $1 }' | sort -u
            ;;
    esac
}

found=''
for name in $dinds; do
    waited=0
    until list=$(addresses "$name") && [ -n "$list" ]; do
        if [ "$elsewhere" = 1 ]; then
            break
        fi
        [ "$waited" -lt "$patience" ] || die "$name does not resolve, so the way to it cannot be" \
            "closed (JAILOC_DIND_ELSEWHERE=1 if it is on another network)"
        sleep 1
        waited=$((waited + 1))
    done
    [ -n "$list" ] || say "$name does not resolve here, as it should be"
    found="$found $list"
done

# rules 4|6: the chain's rules for the addresses of that family, as iptables-restore reads them.
rules() {
    printf '*filter\n:%s - [0:0]\n' "$CHAIN"
    for address in $found; do
        case $1$address in
            4*:*) continue ;;
            6*:*) ;;
            6*) continue ;;
        esac
        for port in $ports; do
            printf -- '-A %s -d %s -p tcp -m tcp --dport %s -j DROP\n' "$CHAIN" "$address" "$port"
        done
    done
    printf 'COMMIT\n'
}

# close 4|6 COMMAND: replaces the chain as one transaction, and sees to it that it comes before any
# other rule, since one that accepts could stand there.
close() {
    family=$1 command=$2
    # Each variant has a restore of its own: iptables-nft-restore and so on.
    rules "$family" | "$command-restore" -w --noflush || die "$command-restore failed"
    first=$("$command" -w -S OUTPUT | sed -n '/^-A /{p;q}')
    if [ "$first" != "-A OUTPUT -j $CHAIN" ]; then
        "$command" -w -I OUTPUT 1 -j "$CHAIN" || die "$command: cannot jump to $CHAIN"
    fi
    while :; do
        jumps=$("$command" -w -n -L OUTPUT --line-numbers |
            awk -v chain="$CHAIN" '$2 == chain { print $1 }')
        last=$(printf '%s\n' "$jumps" | tail -n 1)
        [ "$last" != 1 ] || break
        "$command" -w -D OUTPUT "$last" || die "$command: cannot remove a second jump"
    done
    for address in $found; do
        case $family$address in
            4*:*) continue ;;
            6*:*) ;;
            6*) continue ;;
        esac
        for port in $ports; do
            "$command" -w -C "$CHAIN" -d "$address" -p tcp -m tcp --dport "$port" -j DROP ||
                die "$command does not show the rule for $address port $port"
        done
    done
}

close 4 "$ipt"
if [ -n "$ipt6" ]; then
    close 6 "$ipt6"
else
    case $found in
        *:*) say "dind has an IPv6 address, but there is no IPv6 here" ;;
    esac
fi

set -- --reuid="$uid" --regid="$gid" --clear-groups --inh-caps=-all --ambient-caps=-all \
    --no-new-privs -- "$@"
# Emptying the bounding set takes CAP_SETPCAP, number 8; without privileges to gain it matters little.
effective=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
if [ $((0x$effective >> 8 & 1)) = 1 ]; then
    set -- --bounding-set=-all "$@"
fi
exec "$setpriv" "$@"
