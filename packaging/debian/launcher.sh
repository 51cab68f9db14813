#!/bin/sh
# Starts @NAME@ on the runtime that its package brought, else on the machine's own Node.js, where that is new enough.
set -e
seen=
for node in /usr/lib/nodepulse/node /usr/bin/node; do
  [ -x "$node" ] || continue
  version=$("$node" --version 2>/dev/null) || version=broken
  major=$(expr "$version" : 'v\([0-9]*\)\.') || major=0
  minor=$(expr "$version" : 'v[0-9]*\.\([0-9]*\)') || minor=0
  if [ "$major" -gt 22 ] || { [ "$major" -eq 22 ] && [ "$minor" -ge 19 ]; }; then
    if [ -r "@ENVIRONMENT@" ]; then
      exec "$node" --env-file="@ENVIRONMENT@" "@PROGRAM@" "$@"
    fi
    exec "$node" "@PROGRAM@" "$@"
  fi
  seen="$seen$node is $version, "
done
echo "@NAME@: ${seen:-there is neither /usr/lib/nodepulse/node nor /usr/bin/node, }but Node.js 22.19 or newer is needed: apt-get install nodepulse-runtime" >&2
exit 127
