/**
 * A real PostgreSQL with everything that keeps data safe switched on, to be killed and frozen: the server, or one of its
 * connections.
 */
import { join } from "node:path"
import { Deferred, Effect, type Redacted, Schedule, type Scope } from "effect"
import { make } from "../../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { processesOf, signal } from "./ServerProcesses.ts"

export interface FragilePostgres {
  /** As it is called where it is told what was done to whom. */
  readonly name: string
  readonly url: Redacted.Redacted<string>
  /** `kill -9` of all its processes at once; `restart` brings it back. */
  readonly kill: () => void
  /** `kill -9` of one connection's process, after which PostgreSQL restarts all of them by itself. */
  readonly killOneConnection: () => void
  readonly restart: () => void
  /** Stops it as an operator would; `restart` brings it back. */
  readonly stop: () => void
  readonly pause: () => void
  readonly resume: () => void
}

/** `folder` is its data folder; one that an unprivileged user can reach. */
export const makeFragilePostgres = (folder: string): Effect.Effect<FragilePostgres, never, Scope.Scope> =>
  Effect.gen(function* () {
    const postgres = yield* Effect.orDie(
      make({
        dataDir: join(folder, "data"),
        unreachableBase: join(folder, "reachable"),
        settings: { shared_buffers: "48MB", max_connections: "200" }
      })
    )
    let away = yield* Deferred.make<void>()
    yield* Deferred.succeed(away, undefined)
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.exit(postgres.supervise).pipe(
          Effect.andThen(Effect.suspend(() => Deferred.await(away))),
          Effect.repeat({ schedule: Schedule.spaced("100 millis") })
        )
      )
    )
    let paused: ReadonlyArray<number> = []
    const processes = processesOf(postgres.pgdata)
    yield* Effect.addFinalizer(() => Effect.sync(() => signal(paused, "SIGCONT")))
    const goAway = (name: NodeJS.Signals, pids: ReadonlyArray<number>) => {
      away = Deferred.makeUnsafe<void>()
      signal(pids, name)
    }
    return {
      name: "postgres",
      url: postgres.url,
      kill: () => goAway("SIGKILL", processes.all()),
      stop: () => goAway("SIGINT", processes.all().slice(0, 1)),
      killOneConnection: () => signal(processes.oneConnection(), "SIGKILL"),
      restart: () => void Deferred.doneUnsafe(away, Effect.void),
      pause: () => {
        paused = processes.all()
        signal(paused, "SIGSTOP")
      },
      resume: () => {
        signal(paused, "SIGCONT")
        paused = []
      }
    }
  })
