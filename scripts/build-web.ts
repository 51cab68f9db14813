/**
 * Builds the page into `web/dist` where it is missing or older than its sources; otherwise it does nothing, and says nothing.
 *
 *     node scripts/build-web.ts [--force]
 *
 * `npm start` runs it first. Where the page was built elsewhere and Vite was left out (`npm ci --omit=dev`), what is
 * there is taken as it is.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"

const ROOT = join(import.meta.dirname, "..")
const WEB = join(ROOT, "web")
const LOCK = join(WEB, ".building")
/** On a machine with other work a build takes minutes; whoever takes the turn of one that still runs breaks both. */
const LOCKED_SECONDS_MAX = 600
const STAMP = join(WEB, "dist", "sources.txt")
/** What the page shares with the programs; of all else it takes types, which change nothing in it. */
const SHARED = [join(ROOT, "src", "protocol", "OrderText.ts")]

/** A hash of all that the page is made of, the versions of its libraries included. */
const sources = (): string => {
  const hash = createHash("sha256")
  const files = readdirSync(WEB, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/[\\/](dist|node_modules)[\\/]/.test(path))
    .sort()
  for (const path of [...files, ...SHARED]) hash.update(relative(WEB, path)).update("\0").update(readFileSync(path))
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))
  const all = { ...dependencies, ...devDependencies }
  for (const name of ["react", "react-dom", "uplot", "vite", "@vitejs/plugin-react"])
    hash.update(`${name}@${all[name]}`)
  return hash.digest("hex")
}

/** Whether it built anything. */
export const ensurePage = (force = false): boolean => {
  const wanted = sources()
  const isBuilt = () => existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted
  if (!force && isBuilt()) return false
  const vite = join(ROOT, "node_modules", "vite", "bin", "vite.js")
  if (!existsSync(vite)) {
    if (existsSync(join(WEB, "dist", "index.html"))) return false
    throw new Error("web/dist is missing and Vite is not installed: run npm ci with the development dependencies")
  }
  const free = takeTurn()
  try {
    if (!force && isBuilt()) return false
    build(vite)
    writeFileSync(STAMP, wanted)
  } finally {
    free()
  }
  return true
}

const build = (vite: string) => {
  // A process of its own: where NODE_ENV is "test", the plugin would compile for React's development version.
  execFileSync(process.execPath, [vite, "build", WEB, "--logLevel", "warn"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, NODE_ENV: "production" }
  })
}

/** Two test files may want the page at the same time: they build it one after the other. A lock that was left is taken. */
const takeTurn = (): (() => void) => {
  for (let tries = 0; ; tries++) {
    try {
      mkdirSync(LOCK)
      return () => rmSync(LOCK, { recursive: true, force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
      if (tries >= LOCKED_SECONDS_MAX * 10) rmSync(LOCK, { recursive: true, force: true })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
  }
}

if (import.meta.main) {
  const began = process.hrtime.bigint()
  const built = ensurePage(process.argv.includes("--force"))
  if (built) process.stdout.write(`built the page in ${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s\n`)
}
