# The server, with its page and migrations. Agents are not for containers: they look at the machine, and belong on it.
#   docker build --tag nodepulse .
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM node:24-bookworm-slim
COPY --from=build --chown=root:root /build/dist/server /usr/lib/nodepulse-server
COPY --from=build --chown=root:root /build/dist/sbom.cdx.json /build/THIRD_PARTY.md /build/LICENSE /usr/share/doc/nodepulse/
RUN useradd --system --user-group --home-dir /var/lib/nodepulse --shell /usr/sbin/nologin nodepulse \
 && install --directory --mode=0750 --owner=nodepulse --group=nodepulse /var/lib/nodepulse \
 && printf '#!/bin/sh\nexec node /usr/lib/nodepulse-server/lib/nodepulse.mjs "$@"\n' > /usr/local/bin/nodepulse \
 && chmod 0755 /usr/local/bin/nodepulse
# What a flood of bodies has used is then given back, instead of lying about between what is still used, in one arena a thread.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=65536 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    NODEPULSE_HOST=0.0.0.0 \
    NODEPULSE_PORT=8080 \
    NODEPULSE_DATA_DIR=/var/lib/nodepulse
USER nodepulse
WORKDIR /var/lib/nodepulse
VOLUME /var/lib/nodepulse
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["nodepulse", "server"]
