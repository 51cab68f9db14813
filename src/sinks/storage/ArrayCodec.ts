/**
 * PostgreSQL's arrays of numbers and times as typed arrays, both ways: some nanoseconds a value, where the client's general
 * codec takes more than a hundred.
 *
 * Reading: a statement selects `array_send(column)`, and {@link readNumbers} or {@link readInts} decode it. Writing: {@link int4s},
 * {@link int8s}, {@link float8s}, {@link moments} and {@link byteas} are parameters. A single moment likewise: {@link readMoment}, {@link moment}.
 *
 * Guarantee: numbers come back to the last bit (whole numbers up to 2^53), NULL is NaN both ways, and times are epoch
 * microseconds. What is no array of one dimension of these types is a defect.
 */
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"
import type { NumberSlab } from "./NumberSlab.ts"

const INT4 = PgTypes.OID.int4
const INT8 = PgTypes.OID.int8
const FLOAT8 = PgTypes.OID.float8
const TIMESTAMPTZ = PgTypes.OID.timestamptz

/** PostgreSQL counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH = 946_684_800_000_000
const TWO_32 = 4_294_967_296
/** Dimensions, whether there are NULLs, the element's type; then the dimension's length and its lower bound. */
const HEADER = 20
const HEADER_EMPTY = 12

// -- reading

/**
 * The numbers of an `int4[]`, `int8[]`, `float8[]` or `timestamptz[]` (as epoch microseconds); NaN where NULL. Cut from a slab
 * where there is one.
 */
export const readNumbers = (bytes: Uint8Array, slab?: NumberSlab): Float64Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = lengthOf(view)
  const values = slab?.float64(length) ?? new Float64Array(length)
  if (length === 0) return values
  let at = HEADER
  switch (view.getInt32(8)) {
    case FLOAT8:
      for (let n = 0; n < length; n++) {
        if (view.getInt32(at) === 8) {
          values[n] = view.getFloat64(at + 4)
          at += 12
        } else {
          values[n] = Number.NaN
          at += 4
        }
      }
      break
    case INT8:
      for (let n = 0; n < length; n++) {
        if (view.getInt32(at) === 8) {
          values[n] = view.getInt32(at + 4) * TWO_32 + view.getUint32(at + 8)
          at += 12
        } else {
          values[n] = Number.NaN
          at += 4
        }
      }
      break
    case TIMESTAMPTZ:
      for (let n = 0; n < length; n++) {
        if (view.getInt32(at) === 8) {
          values[n] = view.getInt32(at + 4) * TWO_32 + view.getUint32(at + 8) + POSTGRES_EPOCH
          at += 12
        } else {
          values[n] = Number.NaN
          at += 4
        }
      }
      break
    case INT4:
      for (let n = 0; n < length; n++) {
        if (view.getInt32(at) === 4) {
          values[n] = view.getInt32(at + 4)
          at += 8
        } else {
          values[n] = Number.NaN
          at += 4
        }
      }
      break
    default:
      throw new Error(`an array of type ${view.getInt32(8)} is none of numbers or times`)
  }
  return values
}

/** The numbers of an `int4[]` without NULLs. */
export const readInts = (bytes: Uint8Array, slab?: NumberSlab): Int32Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = lengthOf(view)
  const values = slab?.int32(length) ?? new Int32Array(length)
  if (length === 0) return values
  if (view.getInt32(8) !== INT4 || bytes.byteLength !== HEADER + length * 8) {
    throw new Error("not an array of integers without NULLs")
  }
  for (let n = 0, at = HEADER + 4; n < length; n++, at += 8) values[n] = view.getInt32(at)
  return values
}

/** A `timestamptz` of `timestamptz_send`, epoch microseconds; NaN where NULL. */
export const readMoment = (bytes: Uint8Array | null): number => {
  if (bytes === null) return Number.NaN
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return view.getInt32(0) * TWO_32 + view.getUint32(4) + POSTGRES_EPOCH
}

const lengthOf = (view: DataView): number => {
  const dimensions = view.getInt32(0)
  if (dimensions > 1) throw new Error(`an array of ${dimensions} dimensions`)
  return dimensions === 0 ? 0 : view.getInt32(12)
}

// -- writing

/** An `int4[]` parameter; NULL where NaN. */
export const int4s = (values: Int32Array | Float64Array | ReadonlyArray<number>): PgTypes.Parameter =>
  parameter(PgTypes.OID.int4Array, INT4, 4, values, (view, at, value) => view.setInt32(at, value))

/** An `int8[]` parameter, of whole numbers up to 2^53; NULL where NaN. */
export const int8s = (values: Float64Array | ReadonlyArray<number>): PgTypes.Parameter =>
  parameter(PgTypes.OID.int8Array, INT8, 8, values, setInt64)

/** A `float8[]` parameter; NULL where NaN. */
export const float8s = (values: Float64Array | ReadonlyArray<number>): PgTypes.Parameter =>
  parameter(PgTypes.OID.float8Array, FLOAT8, 8, values, (view, at, value) => view.setFloat64(at, value))

/** A `timestamptz[]` parameter of epoch microseconds; NULL where NaN. */
export const moments = (values: Float64Array | ReadonlyArray<number>): PgTypes.Parameter =>
  parameter(PgTypes.OID.timestamptzArray, TIMESTAMPTZ, 8, values, (view, at, value) =>
    setInt64(view, at, value - POSTGRES_EPOCH)
  )

/** A `bytea[]` parameter. */
export const byteas = (values: ReadonlyArray<Uint8Array>): PgTypes.Parameter => {
  const length = values.reduce((sum, { byteLength }) => sum + 4 + byteLength, HEADER)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setInt32(0, 1)
  view.setInt32(8, PgTypes.OID.bytea)
  view.setInt32(12, values.length)
  view.setInt32(16, 1)
  let at = HEADER
  for (const value of values) {
    view.setInt32(at, value.byteLength)
    bytes.set(value, at + 4)
    at += 4 + value.byteLength
  }
  return encoded(PgTypes.OID.byteaArray, bytes)
}

/** A `timestamptz` parameter of epoch microseconds; NULL where NaN. */
export const moment = (micros: number): PgTypes.Parameter => {
  if (Number.isNaN(micros)) return PgTypes.timestamptz(null)
  const bytes = new Uint8Array(8)
  setInt64(new DataView(bytes.buffer), 0, micros - POSTGRES_EPOCH)
  return encoded(TIMESTAMPTZ, bytes)
}

const setInt64 = (view: DataView, at: number, value: number) => {
  view.setInt32(at, Math.floor(value / TWO_32))
  view.setUint32(at + 4, value >>> 0)
}

const parameter = (
  arrayType: number,
  type: number,
  size: number,
  values: ArrayLike<number>,
  set: (view: DataView, at: number, value: number) => void
): PgTypes.Parameter => {
  const length = values.length
  const bytes = new Uint8Array(length === 0 ? HEADER_EMPTY : HEADER + length * (4 + size))
  const view = new DataView(bytes.buffer)
  view.setInt32(8, type)
  if (length === 0) return encoded(arrayType, bytes)
  view.setInt32(0, 1)
  view.setInt32(12, length)
  view.setInt32(16, 1)
  let at = HEADER
  let nulls = 0
  for (let n = 0; n < length; n++) {
    const value = values[n]!
    if (Number.isNaN(value)) {
      view.setInt32(at, -1)
      at += 4
      nulls++
    } else {
      view.setInt32(at, size)
      set(view, at + 4, value)
      at += 4 + size
    }
  }
  view.setInt32(4, nulls > 0 ? 1 : 0)
  return encoded(arrayType, nulls === 0 ? bytes : bytes.subarray(0, at))
}

/** A parameter whose bytes are there already. */
const encoded = (oid: number, bytes: Uint8Array): PgTypes.Parameter => ({
  [PgTypes.ParameterTypeId]: PgTypes.ParameterTypeId,
  oid,
  value: bytes
})

// The client has no parameter of ready bytes but through a type's codec: those of these types take bytes as they are,
// and leave everything else to the codec that the client has of itself.
const itself = PgTypes.makeRegistry()
for (const oid of [
  PgTypes.OID.int4Array,
  PgTypes.OID.int8Array,
  PgTypes.OID.float8Array,
  PgTypes.OID.timestamptzArray,
  PgTypes.OID.byteaArray,
  PgTypes.OID.timestamptz
]) {
  PgTypes.register<unknown>(oid, {
    encode: (value) => (value instanceof Uint8Array ? Result.succeed(value) : PgTypes.encode(value, oid, itself)),
    write: (sink, value) => {
      if (!(value instanceof Uint8Array)) {
        return PgTypes.writeParameter(sink, { [PgTypes.ParameterTypeId]: PgTypes.ParameterTypeId, oid, value }, itself)
      }
      sink.raw(value)
      return Result.void
    },
    decode: (bytes) => PgTypes.decode(bytes, oid, 1, itself)
  })
}
