#!/bin/sh
# Brings this machine into a Postern VPN: checks what is needed, installs postern-client, and asks for the code.
#
#   sh join.sh URL ROOT [options of postern-client join]
#
# URL is the master's address and ROOT the thumbprint of its root key; both are in the join line.
# POSTERN_INSTALL=1 also installs missing programs with the system's package manager.
# POSTERN_PREFIX is where postern-client goes (/usr/local).
#
# The join line checked the SHA-256 of this file before it ran it; this file holds the one of the client, and the
# client checks everything else against ROOT. So nothing here relies on the TLS certificate.
set -eu

version='@VERSION@'
client_sha256='@CLIENT_SHA256@'

say() { printf 'postern: %s\n' "$*" >&2; }

# fail EXIT-CODE WHAT-HAPPENED WHAT-TO-DO...
fail() {
  code=$1
  shift
  for line in "$@"; do say "$line"; done
  exit "$code"
}

has() { command -v "$1" >/dev/null 2>&1; }

# Prints the absolute path of a program that can run the client.
find_runtime() {
  if has node && node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
    command -v node
  elif has bun; then
    command -v bun
  else
    return 1
  fi
}

kernel_has_wireguard() {
  [ -d /sys/module/wireguard ] && return 0
  modules=/lib/modules/$(uname -r)
  cat "$modules/modules.builtin" "$modules/modules.dep" 2>/dev/null | grep -q '/wireguard\.ko'
}

# Prints the packages that are missing, in the names that nearly every distribution uses.
missing_packages() {
  has ip || printf 'iproute2 '
  has wg || printf 'wireguard-tools '
  kernel_has_wireguard || has wireguard-go || printf 'wireguard-go '
}

# Prints the command that installs packages on this system.
install_command() {
  if has apt-get; then echo "apt-get install -y --no-install-recommends"
  elif has dnf; then echo "dnf install -y"
  elif has zypper; then echo "zypper install -y"
  elif has pacman; then echo "pacman -S --noconfirm"
  elif has apk; then echo "apk add"
  else return 1
  fi
}

require_packages() {
  packages=$(missing_packages)
  [ -n "$packages" ] || return 0
  if ! installer=$(install_command); then
    fail 6 "this machine lacks: $packages" 'Install these programs, then run the join line again.'
  fi
  if [ "${POSTERN_INSTALL:-}" != 1 ]; then
    fail 6 "this machine lacks: $packages" \
      "Install them: $installer $packages" \
      'Or run the join line again with POSTERN_INSTALL=1 set (export POSTERN_INSTALL=1), and it does that for you.'
  fi
  say "installing $packages"
  # A fresh image has no package lists; if they cannot be had, the next step says what is missing.
  if has apt-get; then apt-get update -qq >&2 || true; fi
  # Each is a list of words.
  # shellcheck disable=SC2086
  $installer $packages >&2 || fail 6 "could not install: $packages" "Try it by hand: $installer $packages"
  packages=$(missing_packages)
  [ -z "$packages" ] || fail 6 "still missing: $packages" 'Install them by hand, then run the join line again.'
}

sha256_of() {
  if has sha256sum; then sha256sum "$1"
  elif has shasum; then shasum -a 256 "$1"
  else openssl dgst -sha256 -r "$1"
  fi | cut -d ' ' -f 1
}

download() {
  if has curl; then curl -fsSk --connect-timeout 10 --max-time 120 "$1" -o "$2"
  else wget -q --no-check-certificate -T 20 -O "$2" "$1"
  fi
}

# What fetching and checking the client takes.
require_tools() {
  has curl || has wget || fail 6 'this machine has neither curl nor wget' 'Install curl, then run the join line again.'
  has sha256sum || has shasum || has openssl ||
    fail 6 'this machine cannot compute SHA-256' 'Install coreutils or openssl, then run the join line again.'
}

# Puts the client in place as a whole or not at all.
install_client() {
  was_here=no
  [ ! -e "$prefix/bin/postern-client" ] || was_here=yes
  if [ -f "$folder/postern-client.js" ] && [ "$(sha256_of "$folder/postern-client.js")" = "$client_sha256" ]; then
    say "postern-client $version is here already"
  else
    draft=$(mktemp)
    trap 'rm -f "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    download "$1/client/postern-client.js" "$draft" ||
      fail 4 "postern-client could not be fetched from $1" "Check this machine's internet connection and run the join line again."
    if [ "$(sha256_of "$draft")" != "$client_sha256" ]; then
      fail 5 'postern-client was changed on its way; nothing was installed' \
        'Someone may stand between you and the master: try another network, and tell your admin.'
    fi
    mkdir -p "$folder" "$prefix/bin"
    # Node takes the file for an ES module by this.
    printf '{"type":"module"}\n' >"$folder/package.json"
    cp "$draft" "$folder/postern-client.js.new"
    chmod 755 "$folder/postern-client.js.new"
    mv -f "$folder/postern-client.js.new" "$folder/postern-client.js"
    rm -f "$draft"
    trap - EXIT HUP INT TERM
  fi
  mkdir -p "$prefix/bin"
  cat >"$prefix/bin/postern-client.new" <<LAUNCHER
#!/bin/sh
POSTERN_CLIENT_VERSION="$version" exec "$runtime" "$folder/postern-client.js" "\$@"
LAUNCHER
  chmod 755 "$prefix/bin/postern-client.new"
  mv -f "$prefix/bin/postern-client.new" "$prefix/bin/postern-client"
}

# Takes back what install_client put there.
uninstall_client() {
  rm -f "$prefix/bin/postern-client" "$folder/postern-client.js" "$folder/package.json"
  rmdir "$folder" 2>/dev/null || true
}

main() {
  if [ $# -lt 2 ]; then
    fail 2 'usage: sh join.sh URL ROOT [options of postern-client join]' 'Both are in the join line that your admin gave you.'
  fi
  case $client_sha256 in
    @*) fail 2 'this is the template of join.sh, not a released one' 'Fetch it from a master: https://MASTER/join.sh' ;;
  esac
  case $1 in
    https://*) ;;
    *) fail 2 "the master's address must start with https://, and $1 does not" 'Copy the whole join line.' ;;
  esac
  [ "$(uname -s)" = Linux ] ||
    fail 6 "there is no Postern client for $(uname -s) yet" 'Join from a Linux machine, or ask your admin.'

  # Before sudo, whose PATH may leave out where a person installed it.
  runtime=${POSTERN_RUNTIME:-$(find_runtime || true)}
  if [ -z "$runtime" ]; then
    fail 6 'this machine has neither Node 20 or newer nor Bun, and the client needs one of them' \
      'Get Node from https://nodejs.org (or your package manager, if it has 20 or newer), or Bun from https://bun.sh,' \
      'then run the join line again.'
  fi
  if [ "$(id -u)" != 0 ]; then
    if has sudo; then
      say 'root is needed to make a network interface; going on with sudo'
      export POSTERN_RUNTIME="$runtime"
      exec sudo --preserve-env=POSTERN_RUNTIME,POSTERN_INSTALL,POSTERN_PREFIX,POSTERN_CODE sh "$0" "$@"
    fi
    fail 6 'root is needed to make a network interface, and there is no sudo here' 'Become root, then run the join line again.'
  fi

  prefix=${POSTERN_PREFIX:-/usr/local}
  folder=$prefix/lib/postern
  master=${1%/}
  root=$2
  shift 2
  require_packages
  require_tools
  install_client "$master"
  # The join line fetched this file into a temporary one, which has done its work.
  case $0 in
    "${TMPDIR:-/tmp}"/tmp.*) rm -f "$0" ;;
  esac
  outcome=0
  "$prefix/bin/postern-client" join --master "$master" --root="$root" "$@" || outcome=$?
  # Whoever was deceived is left as before.
  if [ "$outcome" = 5 ] && [ "$was_here" = no ]; then uninstall_client; fi
  exit "$outcome"
}

# In a function, so that a file that was cut off on its way runs nothing.
main "$@"
