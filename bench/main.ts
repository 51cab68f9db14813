// Runs one bench or all of them: `npm run bench`, `npm run bench -- parse`. What they printed is in bench/README.md.
import { readdirSync } from "node:fs"
import { join } from "node:path"

const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !["main.ts"].includes(file) && !/-(load|naive)\.ts$/.test(file))
  .map((file) => file.slice(0, -3))
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith("-"))
const unknown = asked.filter((name) => !benches.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`there is no bench "${unknown[0]}"; there are ${benches.join(", ")}\n`)
  process.exit(1)
}
for (const name of asked.length > 0 ? asked : ["parse", "pipeline", "query"]) {
  process.stdout.write(`\n== ${name}\n`)
  // A bench either runs as it is loaded, or says how it is run.
  const { run } = (await import(join(import.meta.dirname, `${name}.ts`))) as { readonly run?: () => Promise<void> }
  await run?.()
}
