#!/bin/sh
set -e

# An upgrade restarts it once the new version is there.
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  deb-systemd-invoke stop @UNIT@ >/dev/null || true
  # What was restrained for a while is given back now: what would do it later goes with the package.
  if [ -x /usr/lib/@NAME@/revert ]; then /usr/lib/@NAME@/revert --all || true; fi
fi
