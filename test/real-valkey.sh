#!/usr/bin/env bash
# A real Valkey for the tests of a Debian that has none yet: 8.1, from a root of trixie made with debootstrap.
#
#   real-valkey.sh [DIR]    makes DIR (~/.cache/nodepulse/valkey-trixie) where it is not there yet (some 30 s), and prints the
#                           folder for the PATH; else says in one line on stderr what is left out and why, and exits 1
#
# Of the root only the programs and their libraries are kept (some 20 MB). They are started by the dynamic loader that they
# were built with: no chroot and no mounts, so that their paths, sockets, signals and process ids are the machine's own. Only
# the making needs root.
set -euo pipefail

suite=trixie
dir=${1:-${NODEPULSE_TEST_CACHE:-$HOME/.cache/nodepulse}/valkey-$suite}

left_out() {
  echo "left out: the suites of the stream on a real Valkey, because $1" >&2
  exit 1
}

# The archive that this machine's own packages come from; nothing where there is none, and debootstrap takes its own.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1
}

# A program of the root, with what it is linked to, below $2.
keep() {
  local program=$1 to=$2 loader
  loader=$(echo "$root"/usr/lib/*/ld-linux-*.so.*)
  mkdir -p "$to/bin" "$to/lib"
  cp -L "$root/usr/bin/$program" "$to/lib/$program"
  "$loader" --library-path "$(dirname "$loader")" --list "$to/lib/$program" | grep -o '/[^ ]*/usr/lib/[^ ]*' | xargs cp -Lt "$to/lib"
  cat >"$to/bin/$program" <<WRAPPER
#!/bin/sh
lib=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")/lib
exec "\$lib/$(basename "$loader")" --library-path "\$lib" --argv0 $program "\$lib/$program" "\$@"
WRAPPER
  chmod +x "$to/bin/$program"
}

make() {
  [ "$(id -u)" = 0 ] || left_out "making it needs root"
  command -v debootstrap >/dev/null || left_out "debootstrap is not installed (apt-get install debootstrap)"
  making=$(mktemp -d "$(dirname "$dir")/.valkey-XXXXXX")
  trap 'rm -rf "$making"' EXIT
  root=$making/root
  # shellcheck disable=SC2046 # no mirror is no argument
  timeout -k 10 300 debootstrap --variant=minbase --include=valkey-server "$suite" "$root" $(mirror) >"$making/log" 2>&1 ||
    left_out "debootstrap failed: $(tail -n 1 "$making/log")"
  keep valkey-server "$making/kept"
  keep valkey-cli "$making/kept"
  # No server that says who it is, no folder.
  "$making/kept/bin/valkey-server" --version >"$making/kept/version"
  mv "$making/kept" "$dir"
}

mkdir -p "$(dirname "$dir")"
# Two that want it at once: the second finds what the first has made.
exec 9>"$dir.lock"
flock 9
[ -s "$dir/version" ] || make
echo "$dir/bin"
