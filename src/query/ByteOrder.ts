/** The order of names, wherever a tie is broken by them. */

/** By code points, as PostgreSQL's collation "C" does: UTF-8 keeps their order. */
export const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
