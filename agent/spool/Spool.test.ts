import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { layerDisk } from "./SpoolDisk.ts"
import { layerMemory } from "./SpoolMemory.ts"
import { suite } from "./SpoolSuite.ts"

/** A folder of its own, gone with the test. */
const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-spool-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

suite("in memory", layerMemory)

suite("on disk", (bounds) =>
  Layer.unwrap(Effect.map(temporaryFolder, (path) => layerDisk({ path: join(path, "spool"), ...bounds }))))

// The disk refuses from the start: the folder would be below a file.
suite("on a disk that refuses", (bounds) =>
  Layer.unwrap(Effect.map(temporaryFolder, () => layerDisk({ path: join(process.execPath, "spool"), ...bounds }))))
