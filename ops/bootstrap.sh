# Sourced by the commands beside it, which have set `here` to this folder. Makes sure that their programs are there:
# Bun through npm, the libraries through Bun, the rest through apt. Says nothing when nothing is missing.
#
# `postern_for` says for whom: `tools` (Bun and the libraries alone), `node` (also what a node runs), `lab` (also what the
# lab needs; the default) or `tests` (also what only tests need: a browser is large).

root=$(CDPATH='' cd -- "$here/.." && pwd)
PATH=$root/.tools/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

bootstrap_say() { printf 'postern: %s\n' "$*" >&2; }

bootstrap_fail() {
  bootstrap_say "$@"
  exit 6
}

# The one place that names Bun's version is package.json.
bootstrap_has_bun() {
  wanted=$(sed -n 's/.*"packageManager": "bun@\([^"]*\)".*/\1/p' "$root/package.json")
  [ -n "$wanted" ] || bootstrap_fail "package.json names no packageManager bun@VERSION"
  [ -x "$root/.tools/node_modules/.bin/bun" ] && [ "$(cat "$root/.tools/bun-version" 2>/dev/null)" = "$wanted" ]
}

bootstrap_bun() {
  command -v npm >/dev/null 2>&1 || bootstrap_fail "npm is missing. Install Node.js 20 or newer with npm, and run this again."
  bootstrap_say "installing Bun $wanted with npm ..."
  npm install --prefix "$root/.tools" --no-save --no-audit --no-fund --loglevel=error "bun@$wanted" >&2 ||
    bootstrap_fail "npm could not install Bun $wanted; what it said stands above."
  "$root/.tools/node_modules/.bin/bun" --version >/dev/null 2>&1 || bootstrap_fail "Bun was installed but does not start on this machine."
  printf '%s\n' "$wanted" >"$root/.tools/bun-version"
}

bootstrap_has_libraries() {
  [ -f "$root/bun.lock" ] || bootstrap_fail "bun.lock is missing: without it nobody knows which libraries were tested."
  lock=$(cksum <"$root/bun.lock")
  [ -d "$root/node_modules" ] && [ "$(cat "$root/.tools/libraries" 2>/dev/null)" = "$lock" ]
}

bootstrap_libraries() {
  bootstrap_say "installing the libraries of bun.lock ..."
  (cd "$root" && bun install --frozen-lockfile --silent >&2) || bootstrap_fail "Bun could not install the libraries; what it said stands above."
  printf '%s\n' "$lock" >"$root/.tools/libraries"
}

# Takes pairs PROGRAM:PACKAGE, and leaves in `missing` the packages whose program is not there.
bootstrap_has_packages() {
  missing=
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 && continue
    case " $missing " in *" ${pair##*:} "*) ;; *) missing="$missing ${pair##*:}" ;; esac
  done
  [ -z "$missing" ]
}

bootstrap_packages() {
  bootstrap_say "installing$missing with apt ..."
  # Recommended packages would bring a kernel. The lists are fetched only when what is there does not do.
  # shellcheck disable=SC2086
  bootstrap_at_rest bootstrap_apt install $missing ||
    { bootstrap_apt update && bootstrap_at_rest bootstrap_apt install $missing; } ||
    bootstrap_fail "apt-get could not install$missing; what it said stands in $root/.tools/apt.log"
}

# Some packages start a service of their own, now and at each boot. Those programs are the agent's to start. What was
# there before, and what somebody has decided of services, stays.
bootstrap_at_rest() {
  serving=
  for package in keepalived nginx; do
    case " $missing " in *" $package "*) serving="$serving $package.service" ;; esac
  done
  policy=/usr/sbin/policy-rc.d
  status=0
  if [ -z "$serving" ] || [ -e "$policy" ]; then
    "$@" || status=$?
  else
    (
      trap 'rm -f "$policy"' EXIT
      trap 'exit 130' INT TERM
      printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
      "$@"
    ) || status=$?
  fi
  # shellcheck disable=SC2086
  [ -z "$serving" ] || systemctl --quiet disable $serving >/dev/null 2>&1 || true
  return "$status"
}

bootstrap_apt() {
  verb=$1
  shift
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$verb" --no-install-recommends "$@" \
    >"$root/.tools/apt.log" 2>&1 </dev/null
}

node_programs='wg:wireguard-tools wireguard-go:wireguard-go iptables:iptables ipset:ipset ip:iproute2 conntrack:conntrack openssl:openssl
  keepalived:keepalived nginx:nginx dnsmasq:dnsmasq-base curl:curl'
lab_programs='pebble:pebble sysctl:procps pgrep:procps systemctl:systemd nft:nftables ping:iputils-ping curl:curl unshare:util-linux setpriv:util-linux script:bsdutils'
test_programs='jq:jq chromium:chromium'
case "${postern_for:-lab}" in
  tools) programs= ;;
  node) programs=$node_programs ;;
  tests) programs="$node_programs $lab_programs $test_programs" ;;
  *) programs="$node_programs $lab_programs" ;;
esac

# Two commands started at once must not install at once. Whoever waited may find it done.
bootstrap_lock() {
  { mkdir -p "$root/.tools" && [ -w "$root/.tools" ]; } 2>/dev/null ||
    bootstrap_fail "Bun or its libraries are missing, and $(id -un) may not write to $root. Run this once as its owner."
  exec 9>"$root/.tools/lock"
  flock 9 2>/dev/null || true
}

if ! { bootstrap_has_bun && bootstrap_has_libraries; }; then
  bootstrap_lock
  bootstrap_has_bun || bootstrap_bun
  bootstrap_has_libraries || bootstrap_libraries
  exec 9>&-
fi
# shellcheck disable=SC2086
if ! bootstrap_has_packages $programs; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    bootstrap_lock
    bootstrap_has_packages $programs || bootstrap_packages
    exec 9>&-
  else
    bootstrap_say "missing here:$missing. On Debian or Ubuntu, as root: apt-get install --no-install-recommends$missing"
  fi
fi
