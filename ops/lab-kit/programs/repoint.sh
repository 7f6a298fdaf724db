#!/bin/sh
# What people write themselves: when the tunnel's far end is silent, point the one peer at the next address.
#
#   repoint.sh INTERFACE PEER FAR-END ENDPOINT...
set -u
interface=$1 peer=$2 far=$3
shift 3
misses=0
echo running
while :; do
  if ping -nqc 1 -W 0.3 "$far" >/dev/null 2>&1; then
    misses=0
    sleep 0.3
    continue
  fi
  misses=$((misses + 1))
  [ "$misses" -lt 3 ] && continue
  first=$1
  shift
  set -- "$@" "$first"
  wg set "$interface" peer "$peer" endpoint "$1"
  echo "pointed at $1"
  misses=-100
done
