/** Commands as a person at a terminal runs them: here, or as processes of their own. */
import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, Console, Effect, Exit, Stdio, Stream } from "effect"
import { Command, TerminalCapabilities } from "effect/cli"
import config from "../plugins.config.ts"
import { actCommand } from "../src/commands/remote/ActCommand.ts"
import { alertsCommand } from "../src/commands/remote/AlertsCommand.ts"
import { approveCommand } from "../src/commands/remote/ApproveCommand.ts"
import { diffCommand } from "../src/commands/remote/DiffCommand.ts"
import { groupsCommand } from "../src/commands/remote/GroupsCommand.ts"
import { loginCommand, logoutCommand } from "../src/commands/remote/LoginCommand.ts"
import { noteCommand } from "../src/commands/remote/NoteCommand.ts"
import { notifyCommand } from "../src/commands/remote/NotifyCommand.ts"
import { rulesCommand } from "../src/commands/remote/RulesCommand.ts"
import { silencesCommand } from "../src/commands/remote/SilencesCommand.ts"
import { topCommand } from "../src/commands/remote/TopCommand.ts"
import { Registry } from "../src/plugins/Registry.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const nodepulse = Command.make("nodepulse").pipe(
  Command.withSubcommands([
    loginCommand,
    logoutCommand,
    topCommand,
    diffCommand,
    noteCommand,
    alertsCommand,
    silencesCommand,
    rulesCommand,
    groupsCommand,
    notifyCommand,
    actCommand,
    approveCommand
  ]),
  Command.provide(Registry.layer(config))
)

interface Ran {
  readonly out: string
  readonly failure: string | undefined
}

/** Runs a command line here, as where standard output is a pipe unless `colours` says a terminal with them. */
export const run = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  { colours = false, stdin = "" }: { readonly colours?: boolean; readonly stdin?: string } = {}
): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    const out: Array<string> = []
    const write = (...parts: ReadonlyArray<unknown>) => void out.push(parts.map(String).join(" "))
    const console = { ...(yield* Console.Console), log: write, error: write }
    const exit = yield* Command.runWith(nodepulse, { version: "test" })(args).pipe(
      Effect.provide(Stdio.layerTest({ stdin: Stream.make(new TextEncoder().encode(stdin)) })),
      Effect.provide(NodeServices.layer),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { ...env } })),
      Effect.provideService(Console.Console, console),
      Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
        canColor: colours,
        canAnimate: colours,
        canPrompt: false
      }),
      Effect.exit
    )
    const failure = Exit.isFailure(exit)
      ? String((exit.cause.reasons[0] as { error?: Error }).error?.message)
      : undefined
    return { out: out.join("\n"), failure }
  })

/** The home of somebody who has not signed in yet. */
export const home = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-home-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** Runs a command with its output in a pipe, which is closed once something came where `closes`. */
export const piped = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, closes = false) =>
  Effect.promise(
    () =>
      new Promise<{ readonly code: number | null; readonly out: string; readonly error: string }>((resolve) => {
        const child = spawn(process.execPath, [main, ...args], { env: { ...env, PATH: process.env.PATH } })
        let [out, error] = ["", ""]
        child.stderr.on("data", (chunk) => {
          error += chunk
        })
        child.stdout.on("data", (chunk) => {
          out += chunk
          if (closes) child.stdout.destroy()
        })
        child.on("exit", (code) => resolve({ code, out, error }))
      })
  )
