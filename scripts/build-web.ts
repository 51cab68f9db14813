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
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"

const ROOT = join(import.meta.dirname, "..")
const WEB = join(ROOT, "web")
const STAMP = join(WEB, "dist", "sources.txt")

/** A hash of all that the page is made of, the versions of its libraries included. Types alone change nothing in it. */
const sources = (): string => {
  const hash = createHash("sha256")
  const files = readdirSync(WEB, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/[\\/](dist|node_modules)[\\/]/.test(path))
    .sort()
  for (const path of files) hash.update(relative(WEB, path)).update("\0").update(readFileSync(path))
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))
  const all = { ...dependencies, ...devDependencies }
  for (const name of ["react", "react-dom", "uplot", "vite", "@vitejs/plugin-react"])
    hash.update(`${name}@${all[name]}`)
  return hash.digest("hex")
}

/** Whether it built anything. */
export const ensurePage = (force = false): boolean => {
  const wanted = sources()
  if (!force && existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return false
  const vite = join(ROOT, "node_modules", "vite", "bin", "vite.js")
  if (!existsSync(vite)) {
    if (existsSync(join(WEB, "dist", "index.html"))) return false
    throw new Error("web/dist is missing and Vite is not installed: run npm ci with the development dependencies")
  }
  // A process of its own: where NODE_ENV is "test", the plugin would compile for React's development version.
  execFileSync(process.execPath, [vite, "build", WEB, "--logLevel", "warn"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, NODE_ENV: "production" }
  })
  writeFileSync(STAMP, wanted)
  return true
}

if (import.meta.main) {
  const began = process.hrtime.bigint()
  const built = ensurePage(process.argv.includes("--force"))
  if (built) process.stdout.write(`built the page in ${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s\n`)
}
