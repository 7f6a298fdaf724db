#!/bin/sh
# Runs a command as root in a throw-away virtual machine with Debian's own kernel.
#
#   vm.sh SECONDS COMMAND...
#
# The machine's root is this machine's, read-only, with memory over it: nothing that the command does stays, and it has no
# network card. What the command says on stdout and stderr is said here, and its exit code is ours (124: time is up, 125:
# the machine died). Without KVM it is emulated: several times slower, and only behaviour can be believed.
#
# Needs root and, where they are missing, apt for qemu-system-x86, busybox-static and kmod, and for the kernel, which is
# unpacked into a cache and not installed.
set -eu
seconds=$1
shift
cache=${POSTERN_VM_CACHE:-/var/cache/postern-vm}
memory=${POSTERN_VM_MEMORY:-4096}

say() { printf 'postern: %s\n' "$*" >&2; }

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >>"$cache/apt.log" 2>&1 </dev/null; }

prepare() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if ! command -v qemu-system-x86_64 >/dev/null || [ ! -x /bin/busybox ] || ! command -v depmod >/dev/null; then
    say 'installing qemu-system-x86 busybox-static kmod with apt ...'
    apt update && apt install --no-install-recommends qemu-system-x86 busybox-static kmod
  fi
  if [ ! -e "$cache/version" ]; then
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
    say "fetching $package ..."
    rm -rf "$cache/kernel" "$cache/fetched"
    mkdir -p "$cache/kernel" "$cache/fetched"
    (cd "$cache/fetched" && apt download "$package")
    dpkg-deb -x "$cache"/fetched/*.deb "$cache/kernel"
    rm -r "$cache/fetched"
    version=$(ls "$cache/kernel/lib/modules")
    depmod -b "$cache/kernel" "$version"
    echo "$version" >"$cache/version"
    rm -f "$cache/initrd"
  fi
  version=$(cat "$cache/version")
  [ "$cache/initrd" -nt "$0" ] && [ "$cache/initrd" -nt "$here/vm-init.sh" ] || make_initrd
  exec 9>&-
}

# What mounts this machine's root and goes on there.
make_initrd() {
  root=$(mktemp -d)
  (cd "$root" && mkdir bin dev proc sys lower over root modules)
  cp /bin/busybox "$root/bin/"
  ln -s busybox "$root/bin/sh"
  count=100
  modprobe -d "$cache/kernel" -S "$version" -D -a virtio_pci 9pnet_virtio 9p overlay virtio_console virtio_rng 2>/dev/null |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
    while read -r module; do
      count=$((count + 1))
      cp "$module" "$root/modules/$count-${module##*/}"
    done
  cp "$here/vm-init.sh" "$root/init"
  chmod 755 "$root/init"
  (cd "$root" && find . | /bin/busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$cache/initrd.new"
  mv "$cache/initrd.new" "$cache/initrd"
  rm -r "$root"
}

# The job is a folder that both sides can write to: the command, its words one a line of base64, and its exit code.
make_job() {
  job=$(mktemp -d /var/tmp/postern-vm.XXXXXX)
  trap 'rm -rf "$job"' EXIT
  for word; do printf '%s' "$word" | base64 -w0 && echo; done >"$job/words"
  pwd >"$job/folder"
  echo "$version" >"$job/version"
  echo "$cache/kernel/lib/modules/$version" >"$job/modules"
  cp "$here/vm-guest.sh" "$job/guest.sh"
  mkfifo "$job/out" "$job/err"
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ "$(id -u)" != 0 ]; then
  say 'a virtual machine that shows this root file system is made by root alone'
  exit 3
fi
prepare
make_job "$@"

# /dev/kvm may open and still not run an ordinary kernel, where the processor does not show that it can.
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
  kind=accelerated
  processor='-accel kvm -cpu host'
else
  kind=emulated
  processor='-accel tcg,thread=multi,tb-size=512 -cpu max,pmu=off'
fi
echo "$kind" >"$job/kind"
cat "$job/out" &
out=$!
cat "$job/err" >&2 &
err=$!
share=security_model=none,multidevs=remap
code=0
# shellcheck disable=SC2086
timeout -k 5 "$seconds" qemu-system-x86_64 -M q35,usb=off,vmport=off $processor -smp "$(nproc)" -m "$memory" \
  -nodefaults -no-user-config -display none -no-reboot -nic none \
  -kernel "$cache/kernel/boot/vmlinuz-$version" -initrd "$cache/initrd" \
  -append 'console=ttyS0 quiet loglevel=4 panic=-1 reboot=t mitigations=off nokaslr audit=0 nowatchdog' \
  -serial "file:$job/console" -device virtio-rng-pci -device virtio-serial-pci,max_ports=3 \
  -chardev "file,id=out,path=$job/out" -device virtserialport,chardev=out,nr=1,name=out \
  -chardev "file,id=err,path=$job/err" -device virtserialport,chardev=err,nr=2,name=err \
  -virtfs "local,path=/,mount_tag=root,readonly=on,$share" -virtfs "local,path=$job,mount_tag=job,$share" \
  </dev/null 2>"$job/qemu" || code=$?
# Should it have died before it opened them, nobody else would end our readers.
exec 8<>"$job/out" 7<>"$job/err"
exec 8>&- 7>&-
wait "$out" "$err"
if [ -s "$job/code" ]; then exit "$(cat "$job/code")"; fi
if [ "$code" = 124 ] || [ "$code" = 137 ]; then exit 124; fi
cat "$job/qemu" >&2
tail -n 20 "$job/console" >&2
exit 125
