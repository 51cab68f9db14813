/**
 * Builds the page into `web/dist` where it is missing or older than its sources; otherwise it does nothing, and says nothing.
 *
 *     node scripts/build-web.ts [--force]
 *
 * `npm start` runs it first. Where the page was built elsewhere and Vite was left out (`npm ci --omit=dev`), what is
 * there is taken as it is.
 */
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
export const ensurePage = async (force = false): Promise<boolean> => {
  const wanted = sources()
  if (!force && existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return false
  const vite = await import("vite").catch(() => undefined)
  if (vite === undefined) {
    if (existsSync(join(WEB, "dist", "index.html"))) return false
    throw new Error("web/dist is missing and Vite is not installed: run npm ci with the development dependencies")
  }
  await vite.build({ configFile: join(WEB, "vite.config.ts"), root: WEB, logLevel: "warn" })
  writeFileSync(STAMP, wanted)
  return true
}

if (import.meta.main) {
  const began = process.hrtime.bigint()
  const built = await ensurePage(process.argv.includes("--force"))
  if (built) process.stdout.write(`built the page in ${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s\n`)
}
