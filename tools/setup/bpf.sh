#!/bin/sh
# Compiles the programs of the bpf data path, beside their source. Without clang there are none, and `datapath = "auto"`
# says so in the log and takes the next one. Nobody but root could load them.
set -eu
cd "$(dirname "$0")/../../host_agents/datapath/bpf"

object=mip_tunnel.bpf.o
fresh() {
    for source in mip_tunnel.bpf.c mip_maps.h mip_parse.h; do
        [ "$object" -nt "$source" ] || return 1
    done
}

fresh && exit 0
lacks=
[ -r /usr/include/bpf/bpf_helpers.h ] || lacks=libbpf-dev
command -v clang >/dev/null 2>&1 || lacks=clang
if [ -n "$lacks" ]; then
    echo "entourage: no $lacks, so no $object: Python carries packets as root, too (tun), a fifteenth of what bpf does" >&2
    exit 0
fi
echo "entourage: making $object" >&2
# Debian has the headers of each architecture in a folder of their own, where clang does not look for this target.
clang -O2 -g -Wall -Wextra -Werror -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c mip_tunnel.bpf.c -o "$object.new"
mv "$object.new" "$object"
