/** What the commands share: reading a file or standard input, and failing with one clear line. */
import { createReadStream } from "node:fs"
import { readFile } from "node:fs/promises"
import { gunzipSync } from "node:zlib"
import { Effect, Option, Redacted, Schema, Stdio, Stream } from "effect"
import { Prompt, TerminalCapabilities } from "effect/cli"

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

/** More than any file that people write by hand may have: the readers of each kind say how much it is. */
const TEXT_BYTES_MAX = 1024 * 1024

/** The text of a file that people write: a problem, as a sentence, where it cannot be read or is larger than any of its kind. */
export const readTextFile = (file: string): Effect.Effect<string, CommandFailed> =>
  Effect.tryPromise({
    try: async () => {
      const chunks: Array<Uint8Array> = []
      let size = 0
      // Not by its size: that of a device or a pipe is 0.
      for await (const chunk of createReadStream(file) as AsyncIterable<Uint8Array>) {
        size += chunk.length
        if (size > TEXT_BYTES_MAX) throw new Error(`it is larger than ${TEXT_BYTES_MAX} bytes`)
        chunks.push(chunk)
      }
      return Buffer.concat(chunks).toString()
    },
    catch: (error) => new CommandFailed({ reason: `${file} cannot be read: ${(error as Error).message}` })
  })

/** The same, unpacked where it is gzip data: scrapes are kept like that. */
export const readScrapeInput = (file: Option.Option<string>): Effect.Effect<Uint8Array, CommandFailed> =>
  Effect.flatMap(readInput(file), (bytes) =>
    bytes[0] !== 0x1f || bytes[1] !== 0x8b
      ? Effect.succeed(bytes)
      : Effect.try({
          try: () => gunzipSync(bytes, { maxOutputLength: INPUT_BYTES_MAX }),
          catch: (error) =>
            new CommandFailed({
              reason: `${Option.getOrElse(file, () => "standard input")} is gzip data that cannot be unpacked: ${(error as Error).message}`
            })
        })
  )

/** Typed by a person; else all of standard input. Without blanks around it. */
export const readTyped = Effect.fnUntraced(function* (asked: string) {
  const { canPrompt } = yield* TerminalCapabilities.TerminalCapabilities
  const typed = canPrompt
    ? yield* Effect.mapError(
        Prompt.run(Prompt.String({ message: asked })),
        () => new CommandFailed({ reason: "nothing was typed" })
      )
    : yield* readAll
  return typed.trim()
})

/** Typed by a person, unseen; else all of standard input. `called` is what is asked for. */
export const readSecret = Effect.fnUntraced(function* (called: string) {
  const { canPrompt } = yield* TerminalCapabilities.TerminalCapabilities
  if (canPrompt) {
    return yield* Effect.mapError(
      Prompt.run(Prompt.Password({ message: called })),
      () => new CommandFailed({ reason: "no token was given" })
    )
  }
  return Redacted.make(yield* readAll)
})

const readAll = Effect.gen(function* () {
  const { stdin } = yield* Stdio.Stdio
  let size = 0
  const whole = Stream.takeUntil(stdin, ({ length }) => {
    size += length
    return size > SECRET_BYTES_MAX
  })
  return yield* Stream.mkString(Stream.decodeText(whole)).pipe(
    Effect.mapError(({ message }) => new CommandFailed({ reason: `standard input cannot be read: ${message}` }))
  )
})

/** More than any token. */
const SECRET_BYTES_MAX = 64 * 1024

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
