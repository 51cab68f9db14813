/**
 * A real PostgreSQL with everything that keeps data safe switched on, to be killed and frozen: the server, or one of its
 * connections.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Deferred, Effect, type Redacted, Schedule, type Scope } from "effect"
import { make } from "../../src/sinks/postgres/embedded/EmbeddedPostgres.ts"

export interface FragilePostgres {
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

    const postmaster = (): number | undefined => {
      try {
        const pid = Number(readFileSync(join(postgres.pgdata, "postmaster.pid"), "utf8").split("\n")[0])
        // A file that is just being written is empty, and 0 would be our own process group.
        return pid > 1 ? pid : undefined
      } catch {
        return undefined
      }
    }
    const children = (): ReadonlyArray<number> => {
      const parent = postmaster()
      if (parent === undefined) return []
      return execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
        .split("\n")
        .map((line) => line.trim().split(/\s+/).map(Number))
        .flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []))
    }
    const all = (): ReadonlyArray<number> => {
      const parent = postmaster()
      return parent === undefined ? [] : [parent, ...children()]
    }
    const signal = (pids: ReadonlyArray<number>, name: NodeJS.Signals) => {
      for (const pid of pids) {
        try {
          process.kill(pid, name)
        } catch {
          // It is gone already.
        }
      }
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => signal(paused, "SIGCONT")))
    const goAway = (name: NodeJS.Signals, pids: ReadonlyArray<number>) => {
      away = Deferred.makeUnsafe<void>()
      signal(pids, name)
    }
    return {
      url: postgres.url,
      kill: () => goAway("SIGKILL", all()),
      stop: () => goAway("SIGINT", all().slice(0, 1)),
      killOneConnection: () => {
        // Connections come after the helpers of PostgreSQL: the highest process is one, where there is any.
        signal(
          children()
            .toSorted((a, b) => b - a)
            .slice(0, 1),
          "SIGKILL"
        )
      },
      restart: () => void Deferred.doneUnsafe(away, Effect.void),
      pause: () => {
        paused = all()
        signal(paused, "SIGSTOP")
      },
      resume: () => {
        signal(paused, "SIGCONT")
        paused = []
      }
    }
  })
