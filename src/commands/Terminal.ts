/**
 * What commands and the log write to a terminal: the one way out, so that no text from outside (a name, a note, a label, a
 * message of somebody's database) reaches it as it is. See `PrintableText.ts`.
 *
 * JSON stays JSON: what is escaped can only stand in its texts, and is escaped as JSON does.
 */
import { Cause, Console, Effect, Logger } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { printable, printableLines } from "../protocol/PrintableText.ts"

/** To standard output; line feeds are ours. */
export const say = (text: string): Effect.Effect<void> => Console.log(printableLines(text))

/** To standard error. */
export const sayAside = (text: string): Effect.Effect<void> => Console.error(printableLines(text))

/** How a piece of a line stands out, where the terminal has colours. */
export type Emphasis = "strong" | "faint" | "up" | "down" | "warning"

/** A part of a line: text from anywhere, and how it stands out. */
export interface Piece {
  readonly text: string
  readonly emphasis?: Emphasis
}

const CODES: Readonly<Record<Emphasis, string>> = { strong: "1", faint: "2", up: "31", down: "32", warning: "33" }

/** A line of pieces: what is in them is made printable, what is around them is ours. */
const painted = (line: ReadonlyArray<Piece>, colours: boolean): string =>
  line
    .map(({ emphasis, text }) =>
      emphasis === undefined || !colours ? printable(text) : `\u001b[${CODES[emphasis]}m${printable(text)}\u001b[0m`
    )
    .join("")

/** Lines to standard output, with colours where it is a terminal that wants them (`NO_COLOR`). */
export const sayLines = (lines: ReadonlyArray<ReadonlyArray<Piece>>): Effect.Effect<void> =>
  Effect.flatMap(TerminalCapabilities.TerminalCapabilities, ({ canColor }) =>
    Console.log(lines.map((line) => painted(line, canColor)).join("\n"))
  )

/** The same over what stood there before, where somebody watches; below it elsewhere. */
export const sayOver = (lines: ReadonlyArray<ReadonlyArray<Piece>>): Effect.Effect<void> =>
  Effect.flatMap(TerminalCapabilities.TerminalCapabilities, ({ canAnimate, canColor }) => {
    const shown = lines.map((line) => painted(line, canColor))
    // Line by line and then the rest: a screen that is cleared first flickers.
    return Console.log(
      canAnimate ? `\u001b[H${shown.map((line) => `${line}\u001b[K`).join("\n")}\u001b[J` : `${shown.join("\n")}\n`
    )
  })

/** How wide and high a table may be: as the terminal; without a bound where it goes into a pipe or file. */
export const room: Effect.Effect<{ readonly columns: number; readonly rows: number }> = Effect.map(
  TerminalCapabilities.TerminalCapabilities,
  ({ canAnimate }) =>
    canAnimate
      ? { columns: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 }
      : { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY }
)

/**
 * Ends in silence where whoever read our output has gone (`| head`), as programs in a pipe do. For commands that only tell
 * something: a server goes on without its output.
 */
export const endsWithItsReader: Effect.Effect<void> = Effect.sync(() => {
  process.stdout.off("error", onReaderGone).on("error", onReaderGone)
})

const onReaderGone = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(0)
  throw error
}

/** A log for people: a message is one line; what it was caused by follows. */
export const makeLogger = (): Logger.Logger<unknown, void> => {
  const pretty = Logger.consolePretty()
  return Logger.make((options) => {
    const { cause } = options
    const parts = Array.isArray(options.message) ? options.message : [options.message]
    const message = parts.map(shown)
    if (cause.reasons.length > 0) message.push(printableLines(Cause.pretty(cause)))
    pretty.log({ ...options, message, cause: Cause.empty })
  })
}

const shown = (part: unknown): unknown => {
  if (typeof part === "string") return printable(part)
  return part instanceof Error ? printableLines(part.stack ?? part.message) : part
}
