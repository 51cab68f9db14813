/**
 * Writes the software bill of materials of what is shipped, `dist/sbom.cdx.json` (or where `--out` says): CycloneDX, by
 * `npm sbom` from the lockfile, so with the hash of every package, and with what the page is built of. Part of `npm run build`.
 *
 * The same lockfile gives the same bytes: neither a time nor a number made up for it is in it.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { parseArgs } from "node:util"
import { shippedPackages } from "./third-party.ts"

interface Bom {
  readonly components: ReadonlyArray<{ readonly "bom-ref": string; readonly purl: string }>
  readonly dependencies: ReadonlyArray<{ readonly ref: string; readonly dependsOn?: ReadonlyArray<string> }>
  readonly metadata: { readonly timestamp?: string; readonly component: { readonly "bom-ref": string } }
  readonly serialNumber?: string
}

const root = join(import.meta.dirname, "..")

// Of all packages, since what development needs as well would be left out with what only it needs.
const { serialNumber: _, ...all } = JSON.parse(
  execFileSync("npm", ["sbom", "--package-lock-only", "--sbom-format=cyclonedx"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024
  })
) as Bom
const shipped = new Set(shippedPackages().map(({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`))
const components = all.components.filter(({ purl }) => shipped.has(purl))
const known = new Set([all.metadata.component["bom-ref"], ...components.map((component) => component["bom-ref"])])
const { timestamp: __, ...metadata } = all.metadata
const bom = {
  ...all,
  metadata: { ...metadata, component: { ...metadata.component, type: "application", name: "nodepulse" } },
  components,
  dependencies: all.dependencies.flatMap(({ dependsOn = [], ref }) =>
    known.has(ref) ? [{ ref, dependsOn: dependsOn.filter((one) => known.has(one)) }] : []
  )
}

const { values: flags } = parseArgs({ options: { out: { type: "string" } } })
const out = flags.out ?? join(root, "dist", "sbom.cdx.json")
mkdirSync(dirname(out), { recursive: true })
writeFileSync(out, `${JSON.stringify(bom, null, 1)}\n`)
process.stdout.write(`${relative(root, out)}  ${bom.components.length} packages\n`)
