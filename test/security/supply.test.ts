/** What of others comes in: exactly the versions that were looked at, with no script that was not allowed by name. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { shippedPackages } from "../../scripts/third-party.ts"

const root = join(import.meta.dirname, "..", "..")
const read = (path: string) => readFileSync(join(root, path), "utf8")

const manifest = JSON.parse(read("package.json")) as {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly allowScripts: Readonly<Record<string, boolean>>
}
const lock = JSON.parse(read("package-lock.json")) as {
  readonly packages: Readonly<
    Record<string, { readonly resolved?: string; readonly integrity?: string; readonly hasInstallScript?: boolean }>
  >
}
const locked = Object.entries(lock.packages).filter(([place]) => place !== "")

describe("what is installed", () => {
  test("is of exact versions, each with its hash, from a registry", () => {
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/)
    }
    for (const [place, { integrity, resolved }] of locked) {
      expect(integrity, place).toMatch(/^sha512-/)
      expect(resolved ?? "https:", place).toMatch(/^https:/)
    }
  })

  test("runs no script that is not allowed, or refused, by name, and npm is told to be strict about it", () => {
    const scripted = locked
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([place]) => place.replace(/^.*node_modules\//, ""))
    expect(Object.keys(manifest.allowScripts).sort()).toEqual([...new Set(scripted)].sort())
    expect(read(".npmrc")).toMatch(/^strict-allow-scripts=true$/m)
  })
})

describe("what is shipped", () => {
  test("has licences that may be shipped with ours", () => {
    const others = shippedPackages().filter(
      ({ license }) => !["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "MIT-0"].includes(license)
    )
    expect(others).toEqual([])
  })

  test("is listed in an SBOM, each with its hash; twice made it is the same", () => {
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-sbom-"))
    try {
      const make = (name: string) => {
        execFileSync(process.execPath, ["scripts/sbom.ts", "--out", join(folder, name)], { cwd: root })
        return readFileSync(join(folder, name), "utf8")
      }
      const text = make("a.json")
      expect(make("b.json")).toBe(text)
      const bom = JSON.parse(text) as {
        readonly bomFormat: string
        readonly components: ReadonlyArray<{ readonly purl: string; readonly hashes: ReadonlyArray<unknown> }>
      }
      expect(bom.bomFormat).toBe("CycloneDX")
      expect(bom.components.every(({ hashes }) => hashes.length > 0)).toBe(true)
      expect(new Set(bom.components.map(({ purl }) => purl))).toEqual(
        new Set(shippedPackages().map(({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`))
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
