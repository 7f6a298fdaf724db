#!/bin/sh
# Brings this machine into a Postern VPN: fetches the client, checks it, installs it and starts `join`.
# The join line pins this very file by its hash; this file pins the client. The code is asked for by the client.
#
#   join.sh URL ROOT        the master's address and the thumbprint of its root key, as in the join line
#   POSTERN_INSTALL=1       installs what the machine lacks with apt-get, instead of only naming it
#
# Exit codes are those of postern-client; 5 means that something was changed on its way and nothing was installed.
set -eu

version='@VERSION@'
client_sha256='@CLIENT_SHA256@'
library=/usr/local/lib/postern
program=$library/postern-client.js
launcher=/usr/local/bin/postern-client

# What happened, what to do next, the exit code.
fail() {
  printf 'postern: %s\n%s\n' "$1" "$2" >&2
  exit "$3"
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# The first runtime that is new enough; nothing when there is none. Homes are searched too, for sudo forgets the PATH.
find_runtime() {
  home=$(getent passwd "${SUDO_USER:-root}" 2>/dev/null | cut -d: -f6) || home=
  for candidate in node nodejs bun /usr/local/bin/node /usr/local/bin/bun "${home:-/root}/.bun/bin/bun" /root/.bun/bin/bun; do
    path=$(command -v "$candidate" 2>/dev/null) || continue
    case $path in
      *bun) "$path" --version >/dev/null 2>&1 || continue ;;
      *)
        major=$("$path" -p 'process.versions.node.split(".")[0]' 2>/dev/null) || continue
        [ "$major" -ge 20 ] 2>/dev/null || continue
        ;;
    esac
    printf '%s\n' "$path"
    return
  done
}

kernel_has_wireguard() {
  [ -d /sys/module/wireguard ] || grep -qs '/wireguard\.ko' "/lib/modules/$(uname -r)/modules.dep" "/lib/modules/$(uname -r)/modules.builtin"
}

# The Debian packages of what is missing.
find_missing() {
  has ip || printf ' iproute2'
  has wg || printf ' wireguard-tools'
  kernel_has_wireguard || has wireguard-go || printf ' wireguard-go'
  [ -n "$(find_runtime)" ] || printf ' nodejs'
}

# Names and issuers of the certificate count for nothing here: the hash above does.
fetch() {
  if has curl; then
    curl -fsSk --connect-timeout 10 --max-time 60 "$1" -o "$2"
  elif has wget; then
    wget -q --no-check-certificate -T 60 "$1" -O "$2"
  else
    fail 'neither curl nor wget is here, and one is needed to fetch the client' 'Install one: apt-get install --no-install-recommends curl' 6
  fi
}

sha256_of() {
  if has sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

[ $# -eq 2 ] || fail "join.sh takes the master's address and its root thumbprint" 'Run the join line as your admin gave it to you, whole.' 2
url=${1%/}
root=$2
case $url in
  https://*) ;;
  *) fail "$url does not start with https://" 'Run the join line as your admin gave it to you, whole.' 2 ;;
esac
[ "$(uname -s)" = Linux ] || fail "there is no Postern client for $(uname -s) yet" 'Join from a Linux machine.' 6

if [ "$(id -u)" -ne 0 ]; then
  has sudo || fail 'a network interface can be made by root only, and there is no sudo here' 'Run the join line as root.' 6
  echo 'postern: making a network interface needs root; going on with sudo' >&2
  exec sudo -- env "POSTERN_INSTALL=${POSTERN_INSTALL:-}" sh "$0" "$url" "$root"
fi

missing=$(find_missing)
if [ -n "$missing" ] && [ "${POSTERN_INSTALL:-}" = 1 ] && has apt-get; then
  echo "postern: installing$missing" >&2
  # Unquoted on purpose: a list of package names, all of them from this file.
  # shellcheck disable=SC2086
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing; } >&2; then
    fail "the packages$missing could not be installed" 'See what apt-get says above, then run the join line again.' 6
  fi
  missing=$(find_missing)
fi
if [ -n "$missing" ]; then
  fail "this machine lacks:$missing" "Install it: sudo apt-get install --no-install-recommends$missing (Debian, Ubuntu), or the same from your system's packages.
Node.js must be 20 or newer; Bun does as well (https://bun.sh). Or run the join line with POSTERN_INSTALL=1 before \`sh\`." 6
fi
runtime=$(find_runtime)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP TERM
trap 'exit 130' INT
fetch "$url/client/postern-client.js" "$work/postern-client.js" ||
  fail "the client could not be fetched from $url" 'Check the network and run the join line again. Nothing was installed.' 4
if [ "$(sha256_of "$work/postern-client.js")" != "$client_sha256" ]; then
  fail "the client from $url was changed on its way; nothing was installed" 'Try another network, and tell your admin.' 5
fi

# A file that is replaced in one step is never half of one.
was_installed=no
[ -e "$launcher" ] && was_installed=yes
mkdir -p "$library" "${launcher%/*}"
install_file() {
  cp "$1" "$2.new" && chmod "$3" "$2.new" && mv -f "$2.new" "$2"
}
cat >"$work/launcher" <<LAUNCHER
#!/bin/sh
# postern-client $version
POSTERN_CLIENT_VERSION='$version' exec '$runtime' $program "\$@"
LAUNCHER
install_file "$work/postern-client.js" "$program" 644
install_file "$work/launcher" "$launcher" 755

code=0
"$launcher" join --master "$url" --root "$root" || code=$?
if [ "$code" -eq 5 ] && [ "$was_installed" = no ]; then
  rm -f "$program" "$launcher"
  rmdir "$library" 2>/dev/null || :
fi
exit "$code"
