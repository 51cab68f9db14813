#!/bin/sh
# Starts @NAME@ on the runtime that its package brought, else on the machine's own Node.js.
set -e
for node in /usr/lib/nodepulse/node /usr/bin/node; do
  if [ -x "$node" ]; then
    if [ -r "@ENVIRONMENT@" ]; then
      exec "$node" --env-file="@ENVIRONMENT@" "@PROGRAM@" "$@"
    fi
    exec "$node" "@PROGRAM@" "$@"
  fi
done
echo "@NAME@: there is neither /usr/lib/nodepulse/node (package nodepulse-runtime) nor /usr/bin/node" >&2
exit 127
