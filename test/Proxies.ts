/**
 * The reverse proxies that docs/deployment.md has examples for, run with those examples: nginx and Caddy, as Debian has them.
 * What is missing is said in one line.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { onPath } from "./OnPath.ts"

export type ProxyKind = "nginx" | "caddy"

const PROGRAMS: Readonly<Record<ProxyKind, { readonly name: string; readonly path: string | undefined }>> = {
  nginx: { name: "nginx-light", path: onPath("nginx") },
  caddy: { name: "caddy", path: onPath("caddy") }
}

for (const [kind, { name, path }] of Object.entries(PROGRAMS)) {
  if (path === undefined) {
    process.stdout.write(`left out: NodePulse behind ${kind}, for want of it (apt-get install ${name})\n`)
  }
}

export const isThere = (kind: ProxyKind): boolean => PROGRAMS[kind].path !== undefined

const root = join(import.meta.dirname, "..")

/** An example of `packaging/proxy/`, which the documentation shows as it is, for the server at `upstream`. */
export const exampleOf = (file: string, upstream: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const text = await readFile(join(root, "packaging/proxy", file), "utf8")
    expect(await readFile(join(root, "docs/deployment.md"), "utf8"), file).toContain(text)
    expect(text).toContain("127.0.0.1:8080")
    return text
      .replaceAll("http://127.0.0.1:8080", upstream)
      .replaceAll("127.0.0.1:8080", upstream.replace("http://", ""))
  })

/** Starts the proxy with that site, and waits until it listens on the port. It ends with the scope. */
export const start = Effect.fnUntraced(function* (kind: ProxyKind, site: string, port: number) {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), `nodepulse-${kind}-`))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true, maxRetries: 5 }))
  )
  const file = join(folder, kind === "nginx" ? "nginx.conf" : "Caddyfile")
  yield* Effect.promise(() => writeFile(file, kind === "nginx" ? nginxConfig(folder, site) : caddyConfig(site)))
  const args = kind === "nginx" ? ["-p", folder, "-c", file] : ["run", "--adapter", "caddyfile", "--config", file]
  const said: Array<string> = []
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const started = spawn(PROGRAMS[kind].path!, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
      })
      for (const stream of [started.stdout, started.stderr]) stream.on("data", (part) => said.push(String(part)))
      return started
    }),
    (started) => Effect.sync(() => void started.kill("SIGKILL"))
  )
  const listening = Effect.callback<void, string>((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.void)
    }).on("error", ({ message }) => resume(Effect.fail(`${message}: ${said.join("").slice(-2_000)}`)))
  })
  yield* listening.pipe(
    Effect.retry({ schedule: Schedule.spaced("100 millis"), while: () => child.exitCode === null, times: 300 }),
    Effect.orDie
  )
})

const nginxConfig = (folder: string, site: string): string => {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join("\n")
  return `daemon off; master_process off; pid ${folder}/pid; error_log stderr;
events {}
http { access_log off; ${paths}
${site} }`
}

const caddyConfig = (site: string): string => `{\n admin off\n auto_https off\n default_bind 127.0.0.1\n}\n${site}`
