#!/bin/sh
# Starts the machine's own systemd as the first process of a pid namespace inside a lab host.
#
# It shares the host's network and files, and has nothing to do but what is enabled in /etc/systemd/system: everything
# that comes enabled with Debian is masked, for it would look after a machine that this is not.
set -eu
for folder in /var/log /var/tmp /var/cache; do mount -t tmpfs lab "$folder"; done
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 lab /sys/fs/cgroup
: >/etc/fstab

units=/etc/systemd/system
if [ ! -e "$units/.lab" ]; then
  rm -rf "$units"
  mkdir "$units"
  for wanted in /lib/systemd/system/*.wants/*; do
    case ${wanted##*/} in
      systemd-journald*) ;;
      *.service | *.socket | *.mount | *.automount | *.timer | *.path) ln -sf /dev/null "$units/${wanted##*/}" ;;
    esac
  done
  # These come by a generator, not by a link.
  for unit in systemd-remount-fs.service console-getty.service getty@.service serial-getty@.service; do
    ln -sf /dev/null "$units/$unit"
  done
  mkdir -p /etc/systemd/journald.conf.d
  printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/lab.conf
  touch "$units/.lab"
fi
exec env container=lab /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal
