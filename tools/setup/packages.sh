#!/bin/sh
# Makes sure that the programs the lab and the tests run are here: apt installs them as root, otherwise one line asks.
set -eu
PATH=$PATH:/usr/sbin:/sbin

missing=
need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || case " $missing " in *" $2 "*) ;; *) missing="$missing $2" ;; esac
}

need ip iproute2
need ping iputils-ping
need unshare util-linux
need nsenter util-linux
need mount mount
need busybox busybox
need udhcpc udhcpc
need dhclient isc-dhcp-client
need dumpcap wireshark-common
need nft nftables
need tshark tshark
need tcpdump tcpdump
need faketime faketime
need systemd-analyze systemd
need freeradius freeradius
need radclient freeradius-utils
need cc gcc
need clang clang
need tc iproute2
need ethtool ethtool
[ -r /usr/include/bpf/bpf_helpers.h ] || need /usr/include/bpf/bpf_helpers.h libbpf-dev
need chromium chromium
[ -d /run/systemd/system ] || need promtool prometheus # where systemd runs, the package starts a server
need zsh zsh
need fish fish
need man man-db
[ -r /usr/include/stdio.h ] || need /usr/include/stdio.h libc6-dev
[ -r /etc/udhcpc/default.script ] || need /etc/udhcpc/default.script udhcpc
"$(dirname "$0")/python.sh" >/dev/null 2>&1 || missing="$missing python3 python3-venv"

[ -n "$missing" ] || exit 0
install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "entourage needs these Debian packages:$missing (as root: $install)" >&2
    exit 1
fi
echo "entourage: $install" >&2
export DEBIAN_FRONTEND=noninteractive
# A machine that has never run `apt-get update` knows no package; one that has need not wait for it again.
$install >/dev/null 2>&1 || { apt-get update -q >/dev/null && $install >/dev/null; } || {
    echo "entourage: apt could not install:$missing" >&2
    exit 1
}
