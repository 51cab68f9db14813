/** Marks and notes from PostgreSQL: what happened is told from scrapes, once, at its moment; what people say is kept with who said it. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { CurrentAuthor } from "../src/access/Audit.ts"
import { Notes } from "../src/access/Notes.ts"
import * as NotesPostgres from "../src/access/NotesPostgres.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { type Mark, Marks } from "../src/query/Marks.ts"
import * as MarksPostgres from "../src/query/MarksPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { seconds, times } from "./TruthVector.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(MarksPostgres.layer, NotesPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const t = (at: number) => (at - EPOCH) / SECOND
/** With times in seconds since `EPOCH`. */
const told = (marks: ReadonlyArray<Mark>) =>
  marks.map((mark) =>
    mark.kind === "outage"
      ? [mark.kind, mark.exporter, t(mark.at), mark.until === null ? null : t(mark.until)]
      : mark.kind === "clock"
        ? [mark.kind, mark.exporter, t(mark.at), mark.bySeconds]
        : [mark.kind, mark.exporter, t(mark.at)]
  )
const marksIn = (server: string, from: number, to: number) =>
  Effect.flatMap(Marks, (marks) => Effect.map(marks.of(server, seconds(from, to)), told))

const processes = (server: string, at: ReadonlyArray<number>, since?: number) =>
  at.map((moment) => processRow(server, moment, "g", 5_000 + moment, { since }))
const host = (server: string, at: ReadonlyArray<number>, since?: number) =>
  at.map((moment) => nodeRow(server, moment, { cpu_cores: 4 }, { since }))

layer(live)("marks", (it) => {
  it.effect("are none where nothing happened, nor where a beginning jitters or is not known", () =>
    Effect.gen(function* () {
      yield* store([
        ...processes("calm", times(0, 300), -100),
        ...processes("calm", times(315, 600), -98.5),
        ...processes("calm", times(615, 900)),
        ...host("calm", times(0, 900), -5_000)
      ])
      assert.deepStrictEqual(yield* marksIn("calm", 0, 900), [])
    })
  )

  it.effect("an exporter that restarts is a restart, and a machine a reboot, when it began", () =>
    Effect.gen(function* () {
      yield* store([
        ...processes("anew", times(0, 300), -100),
        ...processes("anew", times(330, 600), 312),
        ...host("anew", times(0, 300), -9_000),
        ...host("anew", times(360, 600), 340)
      ])
      assert.deepStrictEqual(yield* marksIn("anew", 0, 600), [
        ["restart", "process_exporter", 312],
        ["reboot", "node_exporter", 340]
      ])
      // It belongs to the window of the scrape that tells it.
      assert.deepStrictEqual(yield* marksIn("anew", 0, 329), [])
      assert.deepStrictEqual(yield* marksIn("anew", 329, 345), [["restart", "process_exporter", 312]])
    })
  )

  it.effect("a clock that is set is one mark, whoever of the machine's exporters told it", () =>
    Effect.gen(function* () {
      yield* store([
        ...processes("clock", times(0, 300), -100),
        ...processes("clock", times(375, 600), -40),
        ...host("clock", times(0, 300), -9_000),
        ...host("clock", times(376, 601), -8_940)
      ])
      assert.deepStrictEqual(yield* marksIn("clock", 0, 600), [["clock", "process_exporter", 375, 60]])
    })
  )

  it.effect("a gap longer than `staleAfter` is an outage of its exporter, also where the window cuts it", () =>
    Effect.gen(function* () {
      yield* store([...processes("gap", [...times(0, 300), ...times(600, 900), ...times(1_215, 1_500)], -100)])
      const outage = ["outage", "process_exporter", 900, 1_215]
      assert.deepStrictEqual(yield* marksIn("gap", 0, 1_500), [outage])
      assert.deepStrictEqual(yield* marksIn("gap", 1_000, 1_500), [outage])
      assert.deepStrictEqual(yield* marksIn("gap", 0, 1_210), [["outage", "process_exporter", 900, null]])
      assert.deepStrictEqual(yield* marksIn("gap", 1_500, 1_800), [])
      assert.deepStrictEqual(yield* marksIn("gap", 5_000, 6_000), [["outage", "process_exporter", 1_500, null]])
      assert.deepStrictEqual(yield* marksIn("gap", -600, -300), [])
    })
  )

  it.effect("an unknown server is an error", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(marksIn("nobody", 0, 60)))._tag, "UnknownServer")
    })
  )

  it.effect("notes are kept with who said them, in the audit as well, until they are removed", () =>
    Effect.gen(function* () {
      const notes = yield* Notes
      const sql = yield* PgClient.PgClient
      const said = Effect.provideService(CurrentAuthor, { name: "token:9", address: null })
      const one = yield* said(notes.add({ serverId: "gap", at: EPOCH + 60 * SECOND, text: "deploy 1.4" }))
      yield* said(notes.add({ serverId: null, at: EPOCH + 30 * SECOND, text: "für alle" }))
      yield* said(notes.add({ serverId: "calm", at: EPOCH + 45 * SECOND, text: "elsewhere" }))
      const texts = (from: number, to: number) =>
        Effect.map(notes.between("gap", seconds(from, to)), (found) => found.map(({ text }) => text))
      assert.deepStrictEqual(one, {
        noteId: one.noteId,
        serverId: "gap",
        at: EPOCH + 60 * SECOND,
        text: "deploy 1.4",
        author: "token:9"
      })
      assert.deepStrictEqual(yield* texts(0, 60), ["für alle", "deploy 1.4"])
      assert.deepStrictEqual(yield* texts(30, 59.999999), [])
      const other = Effect.provideService(CurrentAuthor, { name: "link:somebody", address: null })
      const refused = yield* Effect.flip(other(notes.remove(one.noteId, "own")))
      assert.strictEqual(refused._tag, "NoteOfSomebodyElse")
      assert.deepStrictEqual(yield* texts(0, 60), ["für alle", "deploy 1.4"])
      yield* said(notes.remove(one.noteId, "own"))
      assert.deepStrictEqual(yield* texts(0, 60), ["für alle"])
      for (const noteId of [one.noteId, "x", "1e3", "-1"]) {
        assert.strictEqual((yield* Effect.flip(notes.remove(noteId, "own")))._tag, "UnknownNote")
      }
      const [all] = yield* notes.between("gap", seconds(0, 60))
      yield* other(notes.remove(all!.noteId, "any"))
      const nobody = yield* Effect.flip(notes.add({ serverId: "nobody", at: EPOCH, text: "x" }))
      assert.strictEqual(nobody._tag, "UnknownServer")
      const audit = yield* sql`
        select entry.author, entry.action, entry.detail from admiral.audit as entry order by entry.id`
      assert.deepStrictEqual(audit, [
        { author: "token:9", action: "note.create", detail: "deploy 1.4" },
        { author: "token:9", action: "note.create", detail: "für alle" },
        { author: "token:9", action: "note.create", detail: "elsewhere" },
        { author: "token:9", action: "note.remove", detail: "deploy 1.4" },
        { author: "link:somebody", action: "note.remove", detail: "für alle" }
      ])
    })
  )
})
