/** A real Citus of which one node is killed or frozen: the coordinator, or one of two workers, by chance. */
import { Effect, type Scope } from "effect"
import { type CitusNode, makeCitus } from "../TestCitus.ts"
import type { Chance } from "./Chance.ts"
import type { FragilePostgres } from "./FragilePostgres.ts"
import { processesOf, signal } from "./ServerProcesses.ts"

export const makeFragileCitus = (chance: Chance): Effect.Effect<FragilePostgres, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { coordinator, url, workers } = yield* makeCitus
    const someNode = () => chance.oneOf([coordinator, ...workers])
    /** The one that is away. */
    let away: CitusNode = coordinator
    let paused: ReadonlyArray<number> = []
    const goAway = (name: NodeJS.Signals, postmasterOnly: boolean) => {
      away = someNode()
      const pids = processesOf(away.pgdata).all()
      signal(postmasterOnly ? pids.slice(0, 1) : pids, name)
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => signal(paused, "SIGCONT")))
    return {
      name: "a node of citus",
      url,
      kill: () => goAway("SIGKILL", false),
      stop: () => goAway("SIGINT", true),
      killOneConnection: () => signal(processesOf(someNode().pgdata).oneConnection(), "SIGKILL"),
      restart: () => Effect.runSync(away.start),
      pause: () => {
        paused = processesOf(someNode().pgdata).all()
        signal(paused, "SIGSTOP")
      },
      resume: () => {
        signal(paused, "SIGCONT")
        paused = []
      }
    }
  })
