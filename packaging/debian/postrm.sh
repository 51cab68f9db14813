#!/bin/sh
set -e

if [ "$1" = remove ] && [ -x /usr/bin/deb-systemd-helper ]; then
  deb-systemd-helper mask @UNIT@ >/dev/null || true
fi

if [ "$1" = purge ]; then
  if [ -x /usr/bin/deb-systemd-helper ]; then
    deb-systemd-helper purge @UNIT@ >/dev/null || true
    deb-systemd-helper unmask @UNIT@ >/dev/null || true
  fi
  rm -rf @STATE@
  rm -f @SECRETS@ @OWNERS@
  if [ -d /etc/nodepulse ]; then rmdir --ignore-fail-on-non-empty /etc/nodepulse; fi
  if getent passwd @USER@ >/dev/null; then userdel @USER@ >/dev/null || true; fi
fi

if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi
