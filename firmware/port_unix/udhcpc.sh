#!/bin/sh
# The uplink's DHCP client: supervises busybox udhcpc, and is the script that udhcpc runs on its events.
#
# supervise INTERFACE FOLDER: stdin brings "start NUMBER" and "stop" from the node, and its end means that the node is
# gone. stdout carries "lease NUMBER ADDRESS PREFIX-LENGTH ROUTER..." and "lost NUMBER" back. FOLDER held the two pipes.
# Nothing is configured here: the address is for the node to set, and routes come from the agents.

stop() {
    [ -n "$client" ] && kill "$client" 2>/dev/null && wait "$client"
    client=
}

case "$1" in
supervise)
    rm -r "$3"
    command -v busybox >/dev/null || { echo "missing busybox"; exit 1; }
    client=
    while read -r word number; do
        stop
        if [ "$word" = start ]; then
            NUMBER=$number busybox udhcpc -f -i "$2" -s "$0" -t 4 -T 1 -A 3 </dev/null &
            client=$!
        fi
    done
    stop
    ;;
bound | renew) echo "lease $NUMBER $ip $mask ${router:-0.0.0.0}" ;;
deconfig | nak) echo "lost $NUMBER" ;;
esac
