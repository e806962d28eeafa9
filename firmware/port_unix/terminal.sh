#!/bin/sh
# What a serial port needs before the node opens it, and after: MicroPython can open a file and no more.
#
# hold DEVICE BAUD: makes it raw, of that speed, and lets another process have it for its controlling terminal. Else that
# would be the node, where it leads a session, as every service does; and when the line went, a SIGHUP would end it.
# unblock DESCRIPTOR: sets O_NONBLOCK on the open file, which is the node's too.
#
# For busybox sh: dash knows no descriptor above 9.

case "$1" in
hold)
    # stty opens it without waiting for a carrier, and from then on (clocal) nobody waits for one
    stty -F "$2" raw -echo clocal "$3" 2>/dev/null || exit 1
    # Its output ends when it has the terminal. exec made us the node's own child.
    : "$(busybox setsid -c busybox sh "$0" stay $PPID <"$2" 2>/dev/null &)"
    ;;
stay)
    for descriptor in /proc/self/fd/*; do # the node's sockets, which must go when it goes
        descriptor=${descriptor##*/}
        [ "$descriptor" -gt 2 ] && eval "exec $descriptor>&-"
    done
    exec >/dev/null
    while kill -0 "$2" 2>/dev/null; do
        sleep 1
    done
    ;;
unblock) eval "dd if=/dev/null count=0 oflag=nonblock >&$2" 2>/dev/null ;;
esac
