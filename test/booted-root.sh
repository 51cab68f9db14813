#!/usr/bin/env bash
# A Debian root with systemd as PID 1, without a virtual machine: for the tests of roles, units and packages.
#
#   booted-root.sh why-not            exits 0 where this machine can; else says what is missing, and exits 1
#   booted-root.sh image TAR          makes the root's tarball, where it is not there yet (some 60 s)
#   booted-root.sh unpack TAR DIR     makes a root of it
#   booted-root.sh boot DIR           boots it, waits until it runs, prints the PID of its systemd
#   booted-root.sh run DIR CMD…       runs a command in it
#   booted-root.sh stop DIR           powers it off, and removes what it left: processes, cgroup, mounts; not DIR
#
# The root has namespaces of its own (pid, mount, uts, ipc, cgroup), but the machine's network: packages install, and its
# loopback ports can be asked from outside. Everything of it is found by DIR: DIR.pid, DIR.log, and its cgroup.
set -euo pipefail

suite=bookworm
packages=systemd,systemd-sysv,dbus,python3-minimal,python3-apt,ca-certificates,curl

cgroups() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/unified; fi
}
cgroup_of() { echo "$(cgroups)/nodepulse-test-$(basename "$1")"; }

why_not() {
  [ "$(id -u)" = 0 ] || { echo "it needs root"; return 1; }
  for tool in debootstrap unshare nsenter pivot_root; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed (apt-get install debootstrap util-linux)"; return 1; }
  done
  local probe
  probe="$(cgroups)/nodepulse-test-probe-$$"
  mkdir "$probe" 2>/dev/null || { echo "the unified cgroup hierarchy is not there, or not writable"; return 1; }
  rmdir "$probe"
  unshare --fork --pid --mount --uts --ipc --cgroup true 2>/dev/null || { echo "this machine forbids namespaces"; return 1; }
  unshare --fork --pid --mount sh -c 'mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /mnt' \
    2>/dev/null || { echo "this machine forbids mounts in a namespace"; return 1; }
}

image() {
  [ -s "$1" ] && return
  local folder
  mkdir -p "$(dirname "$1")"
  folder="$(dirname "$1")/.making-$$"
  mkdir "$folder"
  # shellcheck disable=SC2064 # its name is known now, and not any more when the shell ends
  trap "rm -rf '$folder'" EXIT
  debootstrap --variant=minbase --include="$packages" "$suite" "$folder" >"$1.log" 2>&1 || { tail -5 "$1.log" >&2; return 1; }
  # The machine's own ways to packages: mirrors where it is of the same suite, proxy, certificates.
  if grep -qs "$suite-updates" /etc/apt/sources.list.d/debian.sources; then
    cp /etc/apt/sources.list.d/debian.sources "$folder/etc/apt/sources.list.d/"
    : >"$folder/etc/apt/sources.list"
  fi
  find /etc/apt/apt.conf.d -iname '*proxy*' -exec cp {} "$folder/etc/apt/apt.conf.d/" \;
  cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
  rm -rf "$folder"/var/cache/apt/archives/*.deb
  tar -C "$folder" --numeric-owner -cf "$1.part" .
  mv "$1.part" "$1"
}

unpack() {
  mkdir -p "$2"
  tar -C "$2" --numeric-owner -xf "$1"
  cp /etc/resolv.conf "$2/etc/resolv.conf"
  basename "$2" >"$2/etc/hostname"
  printf '127.0.0.1 localhost %s\n::1 localhost\n' "$(basename "$2")" >"$2/etc/hosts"
}

# Runs inside the new namespaces: gives the root its mounts, moves into it, and becomes systemd.
enter() {
  local root=$1
  mount --make-rprivate /
  mount --bind "$root" "$root"
  cd "$root"
  mkdir -p proc sys run tmp dev .old
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup 2>/dev/null || { mount -t tmpfs tmpfs sys/fs && mkdir sys/fs/cgroup && mount -t cgroup2 cgroup2 sys/fs/cgroup; }
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount -t tmpfs -o mode=755 tmpfs dev
  for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  hostname "$(basename "$root")"
  pivot_root . .old
  umount -l /.old
  rmdir /.old 2>/dev/null || true
  exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --log-target=journal </dev/null
}

boot() {
  local root cgroup pid=""
  root=$(realpath "$1")
  cgroup=$(cgroup_of "$root")
  mkdir -p "$cgroup"
  (
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    exec setsid unshare --fork --kill-child --pid --mount --uts --ipc --cgroup bash "$0" enter "$root"
  ) >"$root.log" 2>&1 </dev/null &
  local outer=$!
  for _ in $(seq 300); do
    pid=$(pgrep -P "$outer" || true)
    if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = systemd ]; then
      case "$(nsenter -t "$pid" -a systemctl is-system-running 2>/dev/null)" in
      running | degraded)
        echo "$pid" >"$root.pid"
        echo "$pid"
        return
        ;;
      esac
    fi
    kill -0 "$outer" 2>/dev/null || { cat "$root.log" >&2; echo "the root did not boot" >&2; return 1; }
    sleep 0.2
  done
  cat "$root.log" >&2
  echo "the root did not boot within a minute" >&2
  return 1
}

pid_of() { cat "$(realpath "$1").pid"; }

run() {
  local pid
  pid=$(pid_of "$1")
  shift
  nsenter -t "$pid" -a env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}

stop() {
  local root pid cgroup
  root=$(realpath "$1")
  cgroup=$(cgroup_of "$root")
  if [ -f "$root.pid" ]; then
    pid=$(cat "$root.pid")
    if [ -d "/proc/$pid" ]; then
      nsenter -t "$pid" -a systemctl poweroff >/dev/null 2>&1 || true
      for _ in $(seq 100); do
        [ -d "/proc/$pid" ] || break
        sleep 0.2
      done
      # What does not power off within 20 s is killed; it is PID 1 of its namespace, all others go with it.
      if [ -d "/proc/$pid" ]; then kill -KILL "$pid"; fi
    fi
    rm -f "$root.pid" "$root.log"
  fi
  for _ in $(seq 25); do
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.2
  done
  [ ! -d "$cgroup" ]
}

command=$1
shift
case "$command" in
why-not) why_not ;;
image | unpack | enter | boot | run | stop) "$command" "$@" ;;
*) echo "booted-root.sh: there is no command $command" >&2; exit 2 ;;
esac
