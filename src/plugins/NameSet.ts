/**
 * What a `fingerprint` column holds: a hash of a set of names, such as the disks that a sum is over.
 *
 * FNV-1a over the sorted names, two halves of 26 bits: a whole number that JSON carries exactly. Changing it makes one step
 * of every sum unknown.
 */

/** The hash of the names, whatever their order and however often each is there; null where there are none. */
export const hashOfNames = (names: ReadonlyArray<string>): number | null => {
  const distinct = [...new Set(names)].sort()
  if (distinct.length === 0) return null
  let low = 0x811c9dc5
  let high = 0x01234567
  for (const name of distinct) {
    for (const byte of Buffer.from(`${name}\n`)) {
      low = Math.imul(low ^ byte, 0x01000193)
      high = Math.imul(high ^ byte, 0x85ebca6b)
    }
  }
  return (high >>> 6) * 2 ** 26 + (low >>> 6)
}
