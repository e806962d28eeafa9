#!/bin/sh
# Makes sure that the programs which the lab runs are here; of `packages.sh tests` or `bench`, those of the tests or benches
# too. apt installs them as root, otherwise one line asks.
set -eu
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")/../.."

missing=
need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || case " $missing " in *" $2 "*) ;; *) missing="$missing $2" ;; esac
}
has() { # FILE PACKAGE
    [ -r "$1" ] || need "$1" "$2"
}
installs() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}
apt() {
    DEBIAN_FRONTEND=noninteractive apt-get "$@" >/dev/null
}

need ip iproute2
need tc iproute2
need ping iputils-ping
need unshare util-linux
need nsenter util-linux
need mount mount
need busybox busybox
need udhcpc udhcpc
has /etc/udhcpc/default.script udhcpc
need dhclient isc-dhcp-client
need dumpcap wireshark-common
need nft nftables
need ethtool ethtool
if installs; then # for the bpf data path, which only root has, and which there is another one for: see bpf.sh
    need clang clang
    has /usr/include/bpf/bpf_helpers.h libbpf-dev
    has /usr/include/stdio.h libc6-dev
fi
if [ -n "${1:-}" ]; then # what makes the load
    need cc gcc
    has /usr/include/stdio.h libc6-dev
fi
tools/setup/python.sh >/dev/null || missing="$missing python3 python3-venv"
if [ "${1:-}" = tests ]; then
    need tshark tshark
    need tcpdump tcpdump
    need faketime faketime
    need systemd-analyze systemd
    need dbus-daemon dbus
fi

if [ -n "$missing" ]; then
    if ! installs; then
        echo "entourage needs these Debian packages:$missing" \
            "(as root: apt-get install -y --no-install-recommends$missing)" >&2
        exit 1
    fi
    install="install -y --no-install-recommends$missing"
    echo "entourage: apt-get $install" >&2
    # A machine that has never run `apt-get update` knows no package; one that has need not wait for it again.
    apt $install 2>&1 || { apt update -q && apt $install; } || {
        echo "entourage: apt could not install:$missing" >&2
        exit 1
    }
fi
[ "${1:-}" = tests ] && installs || exit 0

# What some tests do without, saying so: not every release has all of these. Asked for once in a tree.
missing=
need chromium chromium
need zsh zsh
need fish fish
need man man-db
need radclient freeradius-utils
if [ ! -d /run/systemd/system ]; then # where systemd runs, these packages start servers
    need promtool prometheus
    need freeradius freeradius
fi
mkdir -p build
if [ -n "$missing" ] && [ "$(cat build/wished 2>/dev/null)" != "$missing" ]; then
    echo "entourage: for some more tests:$missing" >&2
    apt update -q
    for package in $missing; do
        apt install -y --no-install-recommends "$package" 2>&1 || echo "entourage: there is no $package here" >&2
    done
    printf '%s\n' "$missing" >build/wished
fi
