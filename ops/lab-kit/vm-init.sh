#!/bin/sh
# The first process of a virtual machine: finds its root on the machine around it, lays memory over it, and goes on there.
PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
for module in /modules/*; do busybox insmod "$module" || echo "$module does not load"; done
shared() { busybox mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"; }
shared root /lower ro,cache=loose || busybox poweroff -f
busybox mount -t tmpfs -o size=70% over /over
busybox mkdir /over/upper /over/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work over /root || busybox poweroff -f
cd /root || busybox poweroff -f
busybox mkdir -p vm-job lib/modules
busybox mount -t proc proc proc
busybox mount -t sysfs sys sys
busybox mount -t devtmpfs dev dev
busybox mkdir -p dev/pts dev/shm dev/net
busybox mount -t devpts -o ptmxmode=666 devpts dev/pts
busybox mount -t tmpfs shm dev/shm
for folder in run tmp var/tmp; do busybox mount -t tmpfs -o mode=1777 lab "$folder"; done
busybox mkdir -p run/lock
busybox mount -t cgroup2 cgroup sys/fs/cgroup
[ -e dev/net/tun ] || busybox mknod dev/net/tun c 10 200
busybox ln -sf /proc/self/fd dev/fd
busybox ln -sf /proc/self/fd/1 dev/stdout
busybox ln -sf /proc/self/fd/2 dev/stderr
shared job vm-job rw || busybox poweroff -f
# Not chroot: whoever enters a mount namespace begins at its own root.
exec busybox switch_root /root /bin/sh /vm-job/guest.sh
