#!/bin/bash
# machine.sh NAME FOLDER CHECKOUT: a machine of this one's Debian, which sees the checkout wherever it is. Its root is an overlay, so that what is installed there is gone
# with it; systemd is its process 1, in namespaces and a control group of its own. It is up until that is killed.
set -eu
name=$1 folder=$2 checkout=$3
mount -t tmpfs tmpfs "$folder"
mkdir "$folder"/{groups,upper,work,root,checkout}
mount -t cgroup2 cgroup2 "$folder/groups"
group="$folder/groups/${folder##*/}" # which nobody else has, whatever process ids are in somebody's namespace
mkdir "$group"
( echo "$BASHPID" >"$group/cgroup.procs"
  exec unshare --mount --net --pid --cgroup --uts --ipc --fork --kill-child --propagation private \
      bash -eu -c "$(sed '1,/^# inside$/d' "$0")" "$name" "$folder" "$checkout" ) || true
find "$group" -depth -type d -exec rmdir {} \; || true
exit 0
# inside
folder=$1 checkout=$2
root=$folder/root
hostname "$0"
ip link set lo up
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
cd "$root"
mkdir -p proc sys run tmp dev outside
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount --bind ".$checkout" "$folder/checkout"
mount -t tmpfs tmpfs tmp
mkdir -p ".$checkout"
mount --bind "$folder/checkout" ".$checkout"
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net dev/pts dev/shm
for one in null zero full random urandom tty; do
    touch "dev/$one"
    mount --bind "/dev/$one" "dev/$one"
done
mknod --mode=666 dev/net/tun c 10 200 # so it is where udev runs
ln -s /proc/self/fd dev/fd
touch dev/console
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
# Nothing of the host's services, but what a test enables.
find etc/systemd/system -name '*.wants' -exec rm -r {} +
printf '[Unit]\nAllowIsolate=yes\nRequires=sysinit.target\n' >etc/systemd/system/machine.target
for one in systemd-udevd systemd-udev-trigger systemd-modules-load systemd-journal-flush systemd-random-seed \
    systemd-update-utmp systemd-tmpfiles-setup-dev systemd-sysusers systemd-networkd; do
    ln -sf /dev/null "etc/systemd/system/$one.service"
done
rm -f var/lib/man-db/auto-update # dpkg would have all manual pages indexed, every time
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >etc/machine-id
pivot_root . outside
umount --lazy outside
exec env -i container=entourage PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=machine.target
