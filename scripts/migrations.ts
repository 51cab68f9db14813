// Writes the migrations that the declarations in plugins.config.ts are missing into migrations/: `npm run migrations`, part of
// `npm run generate`. With `--check` it writes nothing, names what is missing, and exits with 1.
import { fileURLToPath } from "node:url"
import { Effect, Result } from "effect"
import config from "../plugins.config.ts"
import { generate, readFolder, writeFolder } from "../src/sinks/storage/Migrations.ts"

const folder = fileURLToPath(new URL("../migrations/", import.meta.url))
const existing = await Effect.runPromise(readFolder(folder))
const generated = generate(config.exporters, existing)
if (Result.isFailure(generated)) {
  process.stderr.write(`${generated.failure.message}\n`)
  process.exit(1)
}
const names = generated.success.added.map((migration) => `migrations/${migration.name}.sql`)
if (process.argv.includes("--check")) {
  for (const name of names) process.stdout.write(`${name} is missing: npm run generate\n`)
  if (names.length > 0) process.exitCode = 1
} else {
  await Effect.runPromise(writeFolder(folder, generated.success))
  process.stdout.write(names.length === 0 ? "migrations/ fits the declarations\n" : `${names.join("\n")}\n`)
}
