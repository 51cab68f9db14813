#!/bin/sh
set -e

if [ "$1" = configure ]; then
  if ! getent passwd @USER@ >/dev/null; then
    useradd --system --user-group --home-dir @STATE@ --no-create-home --shell /usr/sbin/nologin @USER@
  fi
  install -d -m 0750 -o @USER@ -g @USER@ @STATE@
  # Empty until this machine is enrolled; then with the owner and mode of this.
  if [ -n "@TOKEN@" ] && [ ! -e "@TOKEN@" ]; then
    install -m 0640 -o root -g @USER@ /dev/null "@TOKEN@"
    echo "@NAME@: name the server in @CONFIGURATION@ (server.url), then enrol this machine:"
    echo "  @NAME@ agent enroll && systemctl restart @UNIT@"
  fi
  for secret in @SECRETS@; do
    if [ -f "$secret" ]; then
      chown root:@USER@ "$secret"
      chmod 0640 "$secret"
    fi
  done
fi

if [ "$1" = configure ] || [ "$1" = abort-upgrade ] || [ "$1" = abort-remove ] || [ "$1" = abort-deconfigure ]; then
  deb-systemd-helper unmask @UNIT@ >/dev/null || true
  # Enabled when it is new; whoever disabled it later keeps it disabled.
  if deb-systemd-helper --quiet was-enabled @UNIT@; then
    deb-systemd-helper enable @UNIT@ >/dev/null || true
  else
    deb-systemd-helper update-state @UNIT@ >/dev/null || true
  fi
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    if [ -n "$2" ]; then action=restart; else action=start; fi
    deb-systemd-invoke "$action" @UNIT@ >/dev/null || true
  fi
fi
