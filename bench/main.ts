/**
 * Runs benches: `npm run bench`, `npm run bench -- parse`, `npm run bench -- query 7 50`. What follows a name is that bench's
 * own. Each runs in a process of its own, as if its file were run. What they printed is in bench/README.md.
 */
import { spawnSync } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"

/** Parts of other benches. */
const isPart = (file: string) => file === "main.ts" || /-(load|naive|others|pages|server)\.ts$/.test(file)

const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !isPart(file))
  .map((file) => file.slice(0, -3))
const given = process.argv.slice(2)
const first = given[0] ?? "parse"
if (!benches.includes(first)) {
  process.stderr.write(`there is no bench "${first}"; there are ${benches.join(", ")}\n`)
  process.exit(1)
}
/** Each with the arguments that follow it. */
const asked: Array<[string, ...Array<string>]> = given.length > 0 ? [] : [["parse"], ["pipeline"], ["query"]]
for (const argument of given) {
  if (benches.includes(argument)) asked.push([argument])
  else asked.at(-1)!.push(argument)
}
for (const [name, ...args] of asked) {
  process.stdout.write(`\n== ${name}\n`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...args], {
    stdio: "inherit"
  })
  if (status !== 0) process.exit(status ?? 1)
}
