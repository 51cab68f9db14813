// Writes the migrations that the declarations in plugins.config.ts are missing into migrations/: `npm run migrations`.
import { fileURLToPath } from "node:url"
import { Effect, Result } from "effect"
import config from "../plugins.config.ts"
import { generate, readFolder, writeFolder } from "../src/sinks/Migrations.ts"

const folder = fileURLToPath(new URL("../migrations/", import.meta.url))
const existing = await Effect.runPromise(readFolder(folder))
const generated = generate(config.exporters, existing)
if (Result.isFailure(generated)) {
  process.stderr.write(`${generated.failure.message}\n`)
  process.exit(1)
}
await Effect.runPromise(writeFolder(folder, generated.success))
const names = generated.success.added.map((migration) => `migrations/${migration.name}.sql\n`)
process.stdout.write(names.length === 0 ? "migrations/ fits the declarations\n" : names.join(""))
