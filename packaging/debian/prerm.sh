#!/bin/sh
set -e

# An upgrade restarts it once the new version is there.
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  deb-systemd-invoke stop @UNIT@ >/dev/null || true
fi
