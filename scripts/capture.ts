/**
 * Makes a golden of a running exporter: scrapes it once, byte for byte, into `fixtures/<case>/input.prom`, and writes what
 * its plugin makes of it into `expected.json`, to be read and believed or mended by a person before it is committed.
 *
 *     npm run capture -- <exporter> <case> [endpoint]
 *
 * It never overwrites a case, and takes at most 64 MiB.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { Result } from "effect"
import config from "../plugins.config.ts"
import { parseExposition } from "../src/plugins/Exposition.ts"
import { golden } from "../src/plugins/Golden.ts"

const BODY_BYTES_MAX = 64 * 1024 * 1024
const TIMEOUT_MILLIS = 10_000

const capture = async (name: string | undefined, label: string | undefined, endpoint?: string): Promise<string> => {
  const names = config.exporters.map((exporter) => exporter.name).join(", ")
  if (name === undefined || label === undefined) throw `usage: capture <${names}> <case> [endpoint]`
  const exporter = config.exporters.find((candidate) => candidate.name === name)
  if (exporter === undefined) throw `unknown exporter "${name}"; known here: ${names}`
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(label)) throw `"${label}" cannot name a case: use a-z, 0-9, . and -`

  const address = endpoint ?? exporter.scrape.endpoint
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MILLIS) })
  if (!response.ok) throw `${address} answered ${response.status}`
  const chunks: Array<Uint8Array> = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > BODY_BYTES_MAX) throw `${address} answered more than ${BODY_BYTES_MAX} bytes`
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  const { samples } = Result.getOrThrow(parseExposition(body))
  const expected = golden(exporter, exporter.parse(samples, new Date()))

  const folder = new URL(`../src/plugins/${name.replaceAll("_", "-")}/fixtures/${label}/`, import.meta.url)
  mkdirSync(new URL("../", folder), { recursive: true })
  mkdirSync(folder)
  writeFileSync(new URL("input.prom", folder), body)
  writeFileSync(new URL("expected.json", folder), `${JSON.stringify(expected, null, 1)}\n`)
  return `${folder.pathname}: ${size} bytes, ${samples.length} samples`
}

try {
  const [name, label, endpoint] = process.argv.slice(2)
  process.stdout.write(`${await capture(name, label, endpoint)}\n`)
} catch (error) {
  process.stderr.write(`${String(error)}\n`)
  process.exitCode = 1
}
