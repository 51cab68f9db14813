import { PgClient, type PgTypes } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { arrayParameter } from "../postgres/Database.ts"
import { byteas, float8s, int4s, int8s, moment, moments, readInts, readMoment, readNumbers } from "./ArrayCodec.ts"

const NULL = Number.NaN
const LARGE = Number.MAX_SAFE_INTEGER
const cases: ReadonlyArray<{
  readonly type: string
  readonly write: (values: Float64Array) => PgTypes.Parameter
  readonly values: ReadonlyArray<number>
}> = [
  { type: "int4", write: int4s, values: [0, 1, -1, 2_147_483_647, -2_147_483_648, 65_536] },
  { type: "int8", write: int8s, values: [0, 1, -1, LARGE, -LARGE, 2 ** 32, -(2 ** 32), 2 ** 32 - 1, -(2 ** 40) - 1] },
  {
    type: "float8",
    write: float8s,
    values: [
      0,
      -0,
      0.1 + 0.2,
      Number.MAX_VALUE,
      -Number.MAX_VALUE,
      Number.MIN_VALUE,
      1e-300,
      LARGE,
      Infinity,
      -Infinity
    ]
  },
  {
    type: "timestamptz",
    write: moments,
    values: [0, 1, 946_684_799_999_999, 946_684_800_000_001, 1_761_825_600_123_457, 8_000_000_000_000_001]
  }
]

layer(TestDatabase.layerWith({ migrated: false }))("arrays of numbers", (it) => {
  it.effect("arrays of bytes go as they are, empty ones too", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const sent = [Uint8Array.of(0, 1, 255), new Uint8Array(0), new Uint8Array(70_000).fill(7)]
      for (const values of [sent, []]) {
        const rows = yield* sql.unsafe<{ readonly bytes: Uint8Array }>(
          "select given.bytes from unnest($1::bytea[]) as given(bytes)",
          [byteas(values)]
        )
        expect(rows.map(({ bytes }) => Uint8Array.from(bytes))).toEqual(values)
      }
    })
  )

  for (const { type, values, write } of cases) {
    it.effect(`of ${type} come back as they went, with NULLs and without, empty and long`, () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const long = Array.from({ length: 10_000 }, (_, n) => values[n % values.length]!)
        const holes = long.map((value, n) => (n % 7 === 3 ? NULL : value))
        for (const sent of [values, [], [NULL], [NULL, ...values, NULL], long, holes]) {
          const [row] = yield* sql.unsafe<{
            readonly bytes: Uint8Array
            readonly nulls: number
            readonly size: number
          }>(
            `select array_send(given) as bytes, cardinality(given) as size,
              (select count(*)::int4 from unnest(given) as element where element is null) as nulls
            from (select $1::${type}[] as given) given`,
            [write(Float64Array.from(sent))]
          )
          expect(row!.size).toBe(sent.length)
          expect(row!.nulls).toBe(sent.filter(Number.isNaN).length)
          // `toEqual` tells -0 from 0.
          expect([...readNumbers(row!.bytes)]).toEqual([...sent])
        }
      })
    )
  }

  it.effect("mean the same to PostgreSQL", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      expect(
        yield* sql`select ${int4s([1, NULL, -7])}::text as ints, ${int8s([LARGE, NULL, -LARGE])}::text as longs,
          ${float8s([0.5, NULL, -0])}::text as doubles, (${moments([1_761_825_600_123_457, NULL])})::text as times`
      ).toEqual([
        {
          ints: "{1,NULL,-7}",
          longs: "{9007199254740991,NULL,-9007199254740991}",
          doubles: "{0.5,NULL,-0}",
          times: '{"2025-10-30 12:00:00.123457+00",NULL}'
        }
      ])
      const [row] = yield* sql<{ readonly bytes: Uint8Array }>`select array_send(array[3, 1, 2]) as bytes`
      expect([...readInts(row!.bytes)]).toEqual([3, 1, 2])
      const [bounds] = yield* sql<{ readonly bytes: Uint8Array }>`select array_send((array[3, 1, 2])[2:3]) as bytes`
      expect([...readInts(bounds!.bytes)]).toEqual([1, 2])
    })
  )

  it.effect("and single moments are exact to the microsecond", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      for (const micros of [0, 1, 946_684_799_999_999, 1_761_825_600_123_457, 8_000_000_000_000_001, NULL]) {
        const [row] = yield* sql<{
          readonly bytes: Uint8Array | null
          readonly text: string | null
          readonly at: Date | null
        }>`
          select timestamptz_send(${moment(micros)}) as bytes, (extract(epoch from ${moment(micros)}) * 1000000)::int8::text as text,
            ${moment(micros)} as at`
        expect(readMoment(row!.bytes)).toBe(micros)
        expect(row!.text).toBe(Number.isNaN(micros) ? null : String(micros))
        if (!Number.isNaN(micros)) expect(Math.abs(row!.at!.getTime() - micros / 1_000)).toBeLessThan(1)
      }
    })
  )

  it.effect("leave the client's own arrays as they are", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const given = [1n, null, -(2n ** 62n)]
      expect(
        yield* sql`select ${arrayParameter(given, 20)} as longs, ${arrayParameter([1, null], 23)} as ints`
      ).toEqual([{ longs: given, ints: [1, null] }])
    })
  )

  it("that are none of numbers are a defect, never other numbers", () => {
    const text = Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 65])
    expect(() => readNumbers(text)).toThrow(/type 25/)
    expect(() => readInts(text)).toThrow(/integers/)
  })
})
