import { PgClient } from "@effect/sql-pg"
import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { type Columns, counter, fingerprint, gauge, label } from "../../plugins/Column.ts"
import { defineExporter, type ExporterOptions } from "../../plugins/Exporter.ts"
import { peak, rate } from "../../plugins/TopQuery.ts"
import { declaredMeaning, rebuilding, refusal } from "./Declared.ts"
import { accept, rebuilds } from "./DeclaredExporters.ts"
import { generate } from "./Migrations.ts"

const columns = {
  name: label({ doc: "A name." }),
  user: label({ doc: "A user." }),
  count: gauge({ type: "integer", doc: "A count." }),
  busy: counter({ unit: "seconds", over: ["set"], doc: "Busy." }),
  size: gauge({ unit: "bytes", nullable: true, doc: "A size." }),
  drift: gauge({ signed: true, doc: "May be negative." }),
  set: fingerprint({ doc: "What it sums up." })
}

interface Changes {
  readonly columns?: Columns
  readonly table?: object
  readonly top?: object
  readonly host?: object
  readonly options?: ExporterOptions
}

/** The declaration with something changed, as an author would; types are not the point here. */
const declare = (changes: Changes = {}) =>
  defineExporter({
    name: "meaning_exporter",
    title: "Meaning",
    scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
    table: {
      name: "meaning_snapshots",
      retention: "7 days",
      columns: { ...columns, ...changes.columns },
      ...changes.table
    },
    parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null }),
    top: {
      resource: "meanings",
      per: "name",
      presence: "count",
      rankings: { cpu: rate("busy", { share: "cpu" }), size: peak("size") },
      default: "cpu",
      ...changes.top
    } as never,
    host: { cores: "count", memoryTotal: "size", cpuBusy: ["busy"], ...changes.host } as never
  })(changes.options)

const before = declare()
const refused = (changes: Changes) => {
  const reason = refusal(declaredMeaning(declare(changes)), [], declaredMeaning(before))
  // The committed declarations are held against it in the same way.
  const migrated = generate([declare(changes)], Result.getOrThrow(generate([before])).declared)
  expect(Result.isFailure(migrated) ? migrated.failure.reason : undefined).toBe(reason)
  return reason ?? "accepted"
}
const rebuilt = (changes: Changes) => rebuilding(declaredMeaning(declare(changes)), declaredMeaning(before))

describe("a declaration that gives stored rows another meaning", () => {
  it.each<[string, Changes, RegExp]>([
    ["the ranked label", { top: { per: "user" } }, /top\.per was name and cannot become user: declare a table/],
    [
      "a unit",
      { columns: { busy: counter({ unit: "milliseconds", over: ["set"], doc: "" }) } },
      /"busy": unit was seconds and cannot become milliseconds: append a column/
    ],
    [
      "a unit that is gone",
      { columns: { size: gauge({ nullable: true, doc: "" }) } },
      /"size": unit was bytes and cannot become none/
    ],
    [
      "a wire name",
      { columns: { count: gauge({ type: "integer", from: "num", doc: "" }) } },
      /"count": from was count and cannot become num/
    ],
    [
      "a kind",
      { columns: { count: counter({ type: "integer", doc: "" }) } },
      /"count": kind was gauge and cannot become counter/
    ],
    [
      "a type",
      { columns: { count: gauge({ type: "bigint", doc: "" }) } },
      /"count": type was integer and cannot become bigint/
    ],
    [
      "what may be missing",
      { columns: { size: gauge({ unit: "bytes", doc: "" }) } },
      /"size": nullable was true and cannot become false/
    ],
    [
      "what may be negative",
      { columns: { drift: gauge({ doc: "" }) } },
      /"drift": signed was true and cannot become false/
    ],
    ["where groups begin", { table: { beginsAtZero: true } }, /table\.beginsAtZero was false and cannot become true/],
    ["the table", { table: { name: "other_snapshots" } }, /cannot be renamed/]
  ])("is refused with a sentence that names it, both values and what to do: %s", (_, changes, reason) => {
    expect(refused(changes)).toMatch(reason)
  })

  it("is refused where the order of columns changes", () => {
    const { name, user, ...others } = columns
    const table = { columns: { user, name, ...others } }
    expect(refused({ table })).toMatch(/"name" was number 1 and now "user" is/)
  })

  it("is accepted where it only says more", () => {
    expect(refused({ columns: { count: gauge({ type: "integer", signed: true, doc: "Other words." }) } })).toBe(
      "accepted"
    )
    expect(refused({ columns: { more: gauge({ nullable: true, doc: "More." }) } })).toBe("accepted")
    expect(rebuilt({ columns: { more: gauge({ nullable: true, doc: "More." }) } })).toEqual([])
  })
})

describe("a declaration that roll-ups rest on", () => {
  it.each<[string, Changes, RegExp]>([
    [
      "how long a hole is",
      { options: { staleAfter: "10 minutes" } },
      /staleAfter \(milliseconds\) was 300000 and is 600000/
    ],
    [
      "what is CPU time of the host",
      { top: { rankings: { cpu: rate("busy") } } },
      /CPU time of the host was \["busy"\] and is \[\]/
    ],
    ["what tells that a group is gone", { top: { presence: undefined } }, /presence was "count" and is null/],
    [
      "what tells the host's state",
      { host: { cpuBusy: [] } },
      /host was .*"cpuBusy":\["busy"\].* and is .*"cpuBusy":\[\]/
    ],
    [
      "what a counter is a sum over",
      { columns: { busy: counter({ unit: "seconds", doc: "" }) } },
      /"busy": over was \["set"\] and is \[\]/
    ]
  ])("is accepted, and they are computed anew: %s", (_, changes, reason) => {
    expect(refused(changes)).toBe("accepted")
    expect(rebuilt(changes).join()).toMatch(reason)
  })

  it("leaves them alone where an option has nothing to do with them", () => {
    expect(
      rebuilt({ options: { interval: "30 seconds", retention: "30 days", endpoint: "http://127.0.0.1:2/" } })
    ).toEqual([])
  })
})

layer(TestDatabase.layerWith({ exporters: [before] }))("what the database remembers", (it) => {
  it.effect("asks for a rebuilding until it was queued, once", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      expect(yield* rebuilds([before])).toEqual([])
      const patient = declare({ options: { staleAfter: "10 minutes" } })
      const expected = [
        { exporter: "meaning_exporter", because: ["table.staleAfter (milliseconds) was 300000 and is 600000"] }
      ]
      expect(yield* rebuilds([patient])).toEqual(expected)
      // The transaction that queues it fails: it is asked for again.
      yield* sql.withTransaction(Effect.andThen(accept(patient), Effect.fail("cut"))).pipe(Effect.ignore)
      expect(yield* rebuilds([patient])).toEqual(expected)
      yield* accept(patient)
      expect(yield* rebuilds([patient])).toEqual([])
      expect((yield* rebuilds([before])).length).toBe(1)
      yield* accept(before)
    })
  )

  it.effect("refuses another meaning, whatever the migrations say", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(rebuilds([declare({ top: { per: "user" } })]))
      expect(error.message).toMatch(/meaning_exporter: top\.per was name and cannot become user/)
      expect(yield* rebuilds([before])).toEqual([])
    })
  )

  it.effect("takes a column that was appended for what it is, and the version before it may run again", () =>
    Effect.gen(function* () {
      const wider = declare({ columns: { more: gauge({ nullable: true, doc: "More." }) } })
      expect(yield* rebuilds([wider])).toEqual([])
      expect(yield* rebuilds([before])).toEqual([])
      const otherwise = declare({ columns: { more: counter({ nullable: true, doc: "More." }) } })
      expect((yield* Effect.flip(rebuilds([otherwise]))).message).toMatch(/"more": kind was gauge/)
    })
  )

  it.effect("asks for a rebuilding where another version wrote it down in another form", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`update admiral.exporters set declared = '{"exporter":"meaning_exporter"}'`
      expect((yield* rebuilds([before])).map(({ exporter }) => exporter)).toEqual(["meaning_exporter"])
    })
  )
})
