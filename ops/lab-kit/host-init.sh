#!/bin/sh
# The first process of a lab host, alone in new network, mount, pid, uts and ipc namespaces.
#
#   host-init.sh NAME KEEP...      KEEP: folders that stay visible although they may lie in /tmp, /run or /root
#
# It makes the host's own file system, says "ready", and stays: as process 1 it reaps orphans, and when its standard
# input ends (the lab is gone, however it went) it leaves, and the kernel kills everything else in here.
set -eu
name=$1
shift
exec 3<&0 </dev/null

# A copy of a folder that can be written to without anyone outside seeing it.
private_copy() {
  store=/run/.lab/$(echo "$1" | tr / _)
  mkdir -p "$store/upper" "$store/work" "$store/below"
  # Without the machine's root, its folders are writable only where the copy has made them its own.
  if [ "$(stat -c %u "$1")" != 0 ]; then
    (cd "$1" && find . -mindepth 1 -maxdepth 2 -type d -print0 2>/dev/null) | (cd "$store/upper" && xargs -0r mkdir -p)
  fi
  mount -t overlay -o "lowerdir=$1,upperdir=$store/upper,workdir=$store/work" lab "$1" 2>/dev/null && return
  mount --bind "$1" "$store/below"
  mount -t tmpfs -o mode=755 lab "$1"
  for entry in "$store/below"/* "$store/below"/.[!.]*; do
    if [ -e "$entry" ]; then ln -s "$entry" "$1/"; fi
  done
}

hostname "$name"
staging=$(mktemp -d)
count=0
mount -t tmpfs -o mode=755 lab "$staging"
for path; do
  count=$((count + 1))
  mkdir "$staging/$count"
  mount --rbind "$path" "$staging/$count"
done
mount -t tmpfs -o mode=755 lab /run
mkdir /run/.lab /run/.lab/keep
mount --move "$staging" /run/.lab/keep
rmdir "$staging"
for folder in /etc /var/lib /usr/local /opt; do private_copy "$folder"; done
for folder in /var/lib/postern*; do
  if [ -d "$folder" ]; then mount -t tmpfs -o mode=700 lab "$folder"; fi
done
mount -t tmpfs -o mode=1777 lab /tmp
mount -t tmpfs -o mode=700 lab /root
count=0
for path; do
  count=$((count + 1))
  if [ ! -e "$path" ]; then
    mkdir -p "$path"
    mount --rbind "/run/.lab/keep/$count" "$path"
  fi
done
mount -t proc proc /proc
mount -t sysfs sysfs /sys 2>/dev/null || true

rm -f /etc/hostname /etc/hosts /etc/resolv.conf
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
echo '# A lab host starts without a resolver.' >/etc/resolv.conf
ip link set lo up

cat <&3 >/dev/null &
echo ready
wait $! || true
