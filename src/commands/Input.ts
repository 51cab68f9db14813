/** What the commands share: reading a file or standard input, and failing with one clear line. */
import { readFile } from "node:fs/promises"
import { Effect, Option, Schema } from "effect"

/** The command cannot do what it was asked for. Printed as it is; the process exits with 1. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

/** More than any scrape, and less than what would hurt. */
const INPUT_BYTES_MAX = 256 * 1024 * 1024

/** The bytes of the file, or of standard input where none is named. */
export const readInput = (file: Option.Option<string>): Effect.Effect<Uint8Array, CommandFailed> =>
  Effect.tryPromise({
    try: async () => (Option.isSome(file) ? await readFile(file.value) : await readStandardInput()),
    catch: (error) =>
      new CommandFailed({
        reason: `${Option.getOrElse(file, () => "standard input")} cannot be read: ${(error as Error).message}`
      })
  })

const readStandardInput = async (): Promise<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > INPUT_BYTES_MAX) throw new Error(`more than ${INPUT_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
