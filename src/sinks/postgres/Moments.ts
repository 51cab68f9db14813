/**
 * Moments in SQL text: epoch microseconds in a double, exact until the year 2255, to `timestamptz` and back. Pure.
 */

/** The `timestamptz` of an expression of epoch microseconds. */
export const moment = (micros: string): string => `timestamptz 'epoch' + ${micros} * interval '1 microsecond'`

/** The epoch microseconds of a `timestamptz` expression, as a double. */
export const micros = (at: string): string => `round(extract(epoch from ${at}) * 1000000)::float8`
