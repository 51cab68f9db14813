#!/usr/bin/env bash
# A Debian root with systemd as PID 1, without a virtual machine: for the tests of roles, units and packages.
#
#   booted-root.sh why-not            exits 0 where this machine can; else says what is missing, and exits 1
#   booted-root.sh image TAR          makes the root's tarball, where it is not there yet (some 60 s)
#   booted-root.sh unpack TAR DIR     makes a root of it
#   booted-root.sh boot DIR [limits]  boots it, waits until it runs, prints the PID of its systemd; with `limits` its systemd
#                                     has the machine's controllers too: MemoryMax=, CPUQuota= and accounting work in it
#   booted-root.sh limits-why-not     as why-not, for a root with limits
#   booted-root.sh run DIR CMD…       runs a command in it
#   booted-root.sh stop DIR           powers it off, and removes what it left: processes, cgroup, mounts; not DIR
#
# The root has namespaces of its own (pid, mount, uts, ipc, cgroup), but the machine's network: packages install, and its
# loopback ports can be asked from outside. Everything of it is found by DIR: DIR.pid, DIR.log, and its cgroups.
#
# Controllers: where the machine has cgroup v2 alone, they are handed down to the root. Where v1 has them (each on a mount of
# its own, "hybrid"), the root gets those mounts below its own cgroups, and its systemd finds the same layout as the machine's.
set -euo pipefail

suite=bookworm
packages=systemd,systemd-sysv,dbus,python3-minimal,python3-apt,ca-certificates,curl,systemd-container

is_unified() { [ -f /sys/fs/cgroup/cgroup.controllers ]; }
cgroups() { if is_unified; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/unified; fi; }
# By its folder too: roots of one name may run side by side.
name_of() { echo "nodepulse-test-$(basename "$(dirname "$1")")-$(basename "$1")"; }
cgroup_of() { echo "$(cgroups)/$(name_of "$1")"; }

# The v1 hierarchies that a root with limits gets, as this machine has them; none where v2 has the controllers.
hierarchies() {
  is_unified && return
  find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d ! -name unified -printf '%f\n'
}
# Every cgroup of a root: the one that each has, and those of the hierarchies.
cgroups_of() {
  cgroup_of "$1"
  local name
  for name in $(hierarchies); do echo "/sys/fs/cgroup/$name/$(name_of "$1")"; done
}

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

limits_why_not() {
  why_not || return
  local controller
  for controller in cpu memory; do
    if is_unified; then
      # At the real root this changes what may be limited, and limits nothing.
      echo "+$controller" 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control ||
        { echo "the controller $controller of this machine cannot be handed down"; return 1; }
    else
      [ -w "/sys/fs/cgroup/$controller/cgroup.procs" ] || { echo "the controller $controller is mounted nowhere"; return 1; }
    fi
  done
}

image() {
  local folder
  mkdir -p "$(dirname "$1")"
  # Two files of tests may want it at once: the second finds what the first has made.
  exec 9>"$1.lock"
  flock 9
  if [ -s "$1" ] && [ "$(cat "$1.packages" 2>/dev/null)" = "$packages" ]; then return; fi
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
  echo "$packages" >"$1.packages"
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
  if [ "$2" = limits ] && [ -n "$(hierarchies)" ]; then
    enter_hierarchies
  else
    mount -t cgroup2 cgroup2 sys/fs/cgroup 2>/dev/null || { mount -t tmpfs tmpfs sys/fs && mkdir sys/fs/cgroup && mount -t cgroup2 cgroup2 sys/fs/cgroup; }
  fi
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount -t tmpfs -o mode=755 tmpfs dev
  for device in null zero full random urandom tty $([ "$2" != limits ] || echo kmsg); do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  hostname "$(basename "$root")"
  # A process of outside is 0 here: the one that boot takes away.
  while [ "$2" = limits ] && grep -qsx 0 sys/fs/cgroup/cgroup.procs; do sleep 0.05; done
  pivot_root . .old
  umount -l /.old
  rmdir /.old 2>/dev/null || true
  exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --log-target=journal </dev/null
}

# The layout by which systemd knows a hybrid machine: a tmpfs with one mount per hierarchy. Read-only, so that it adds none.
enter_hierarchies() {
  local name options
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/unified
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
  for name in $(hierarchies); do
    if [ "$name" = systemd ]; then options=none,name=systemd; else options=$name; fi
    mkdir "sys/fs/cgroup/$name"
    mount -t cgroup -o "$options" cgroup "sys/fs/cgroup/$name"
  done
  # As cpu, which leads to cpu,cpuacct on most machines.
  find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type l -exec cp -P {} sys/fs/cgroup/ \;
  mount -o remount,ro tmpfs sys/fs/cgroup
}

boot() {
  local root limits=${2:-} cgroup own pid=""
  root=$(realpath "$1")
  if [ "$limits" = limits ]; then own=$(cgroups_of "$root"); else own=$(cgroup_of "$root"); fi
  # shellcheck disable=SC2086 # no white space in them: mkdtemp made their names
  mkdir -p $own
  # A new one of this hierarchy takes no process before it has CPUs and memory.
  for cgroup in $own; do
    for file in cpuset.cpus cpuset.mems; do
      if [ -w "$cgroup/$file" ] && [ "$limits" = limits ] && ! is_unified; then cat "$cgroup/../$file" >"$cgroup/$file"; fi
    done
  done
  # Beside the machine's other processes it counts as four, not as one: what its services do to each other is to be seen.
  for cgroup in $own; do
    if [ "$limits" = limits ] && [ -w "$cgroup/cpu.shares" ]; then echo 4096 >"$cgroup/cpu.shares"; fi
  done
  if [ "$limits" = limits ] && is_unified; then
    for controller in cpu memory io pids; do
      echo "+$controller" 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control || true
    done
    echo 400 >"$own/cpu.weight"
  fi
  (
    for cgroup in $own; do echo "$BASHPID" >"$cgroup/cgroup.procs"; done
    exec setsid unshare --fork --kill-child --pid --mount --uts --ipc --cgroup bash "$0" enter "$root" "$limits"
  ) >"$root.log" 2>&1 </dev/null &
  local outer=$!
  # Its root's cgroup hands controllers down only when no process is in it: this one goes back to where it came from.
  if [ "$limits" = limits ] && is_unified; then
    until pgrep -P "$outer" >/dev/null || ! kill -0 "$outer" 2>/dev/null; do sleep 0.05; done
    echo "$outer" >"/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/cgroup.procs"
  fi
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
  local root pid cgroup left=""
  root=$(realpath "$1")
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
  for cgroup in $(cgroups_of "$root"); do
    # Processes that were killed may take a while to be gone, on a busy machine.
    for _ in $(seq 100); do
      [ -d "$cgroup" ] || break
      find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && break
      sleep 0.2
    done
    if [ -d "$cgroup" ]; then left="$left $cgroup (processes: $(find "$cgroup" -name cgroup.procs -exec cat {} + | head -20 | xargs))"; fi
  done
  [ -z "$left" ] || { echo "left behind:$left" >&2; return 1; }
}

command=$1
shift
case "$command" in
why-not) why_not ;;
limits-why-not) limits_why_not ;;
image | unpack | enter | boot | run | stop) "$command" "$@" ;;
*) echo "booted-root.sh: there is no command $command" >&2; exit 2 ;;
esac
