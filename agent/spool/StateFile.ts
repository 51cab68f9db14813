/**
 * A small document beside the spool, that outlives the process: who the agent was, how its clock went.
 *
 * Guarantee: it is whole or not there (written beside, then renamed). It is a help and no more: where it cannot be read or
 * written, the agent works as one that has just been installed. Bound: `BYTES_MAX` are read.
 */
import { mkdir, open, rename, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect, Result, Schema } from "effect"

const BYTES_MAX = 64 * 1024

export interface StateFile<A> {
  /** Undefined where there is none that can be read. */
  readonly read: Effect.Effect<A | undefined>
  readonly write: (value: A) => Effect.Effect<void>
}

/** The document of that name in the folder; without a folder it is forgotten. */
export const stateFile = <A>(
  folder: string | undefined,
  name: string,
  schema: Schema.Codec<A, unknown>
): StateFile<A> => {
  if (folder === undefined) return { read: Effect.succeed(undefined), write: () => Effect.void }
  const path = join(folder, name)
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  const encode = Schema.encodeSync(Schema.fromJsonString(schema))
  return {
    read: Effect.promise(() => readUpTo(path).catch(() => undefined)).pipe(
      Effect.map((text) => (text === undefined ? undefined : Result.getOrElse(decode(text), () => undefined)))
    ),
    write: (value) => Effect.promise(() => replace(path, encode(value)).catch(() => undefined))
  }
}

const readUpTo = async (path: string): Promise<string> => {
  const handle = await open(path, "r")
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(BYTES_MAX), 0, BYTES_MAX, 0)
    return buffer.toString("utf8", 0, bytesRead)
  } finally {
    await handle.close()
  }
}

const replace = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const beside = `${path}.${process.pid}`
  await writeFile(beside, text, { mode: 0o600 })
  await rename(beside, path)
}
