# Sourced by the commands beside it, which have set `here` to this folder. Makes sure that their programs are there:
# Bun through npm, the libraries through Bun, the rest through apt. Says nothing when nothing is missing.
#
# `postern_for` says for whom: `node` (what a node runs) or `lab` (the same and what the lab needs; the default).

root=$(CDPATH='' cd -- "$here/.." && pwd)
PATH=$root/.tools/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

bootstrap_say() { printf 'postern: %s\n' "$*" >&2; }

bootstrap_fail() {
  bootstrap_say "$@"
  exit 6
}

# The one place that names Bun's version is package.json.
bootstrap_bun() {
  wanted=$(sed -n 's/.*"packageManager": "bun@\([^"]*\)".*/\1/p' "$root/package.json")
  [ -n "$wanted" ] || bootstrap_fail "package.json names no packageManager bun@VERSION"
  if [ -x "$root/.tools/node_modules/.bin/bun" ] && [ "$(cat "$root/.tools/bun-version" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  command -v npm >/dev/null 2>&1 || bootstrap_fail "npm is missing. Install Node.js 20 or newer with npm, and run this again."
  bootstrap_say "installing Bun $wanted with npm ..."
  npm install --prefix "$root/.tools" --no-save --no-audit --no-fund --loglevel=error "bun@$wanted" >&2 ||
    bootstrap_fail "npm could not install Bun $wanted; what it said stands above."
  "$root/.tools/node_modules/.bin/bun" --version >/dev/null 2>&1 || bootstrap_fail "Bun was installed but does not start on this machine."
  printf '%s\n' "$wanted" >"$root/.tools/bun-version"
}

bootstrap_libraries() {
  [ -f "$root/bun.lock" ] || bootstrap_fail "bun.lock is missing: without it nobody knows which libraries were tested."
  lock=$(cksum <"$root/bun.lock")
  [ -d "$root/node_modules" ] && [ "$(cat "$root/.tools/libraries" 2>/dev/null)" = "$lock" ] && return 0
  bootstrap_say "installing the libraries of bun.lock ..."
  (cd "$root" && bun install --frozen-lockfile --silent >&2) || bootstrap_fail "Bun could not install the libraries; what it said stands above."
  printf '%s\n' "$lock" >"$root/.tools/libraries"
}

# Takes pairs PROGRAM:PACKAGE.
bootstrap_packages() {
  missing=
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 && continue
    case " $missing " in *" ${pair##*:} "*) ;; *) missing="$missing ${pair##*:}" ;; esac
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    bootstrap_say "missing here:$missing. On Debian or Ubuntu, as root: apt-get install --no-install-recommends$missing"
    return 0
  fi
  bootstrap_say "installing$missing with apt ..."
  # Recommended packages would bring a kernel. The lists are fetched only when what is there does not do.
  # shellcheck disable=SC2086
  bootstrap_apt install $missing || { bootstrap_apt update && bootstrap_apt install $missing; } ||
    bootstrap_fail "apt-get could not install$missing; what it said stands in $root/.tools/apt.log"
}

bootstrap_apt() {
  verb=$1
  shift
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$verb" --no-install-recommends "$@" \
    >"$root/.tools/apt.log" 2>&1 </dev/null
}

mkdir -p "$root/.tools"
# Two commands started at once must not install into one folder at once.
exec 9>"$root/.tools/lock"
flock 9 2>/dev/null || true
bootstrap_bun
bootstrap_libraries
node_programs='wg:wireguard-tools wireguard-go:wireguard-go iptables:iptables ipset:ipset ip:iproute2 sysctl:procps openssl:openssl curl:curl'
lab_programs='conntrack:conntrack nft:nftables ping:iputils-ping unshare:util-linux setpriv:util-linux script:bsdutils'
# shellcheck disable=SC2086
case "${postern_for:-lab}" in
  node) bootstrap_packages $node_programs ;;
  *) bootstrap_packages $node_programs $lab_programs ;;
esac
exec 9>&-
