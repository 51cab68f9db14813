/** The median, which single odd values do not move. Pure, but for the order of what it is given. */

/** The middle one, or the mean of the two in the middle; of at least one value. Sorts them where they are. */
export const medianOf = (values: Float64Array): number => {
  values.sort()
  const half = values.length >> 1
  return values.length % 2 === 1 ? values[half]! : (values[half - 1]! + values[half]!) / 2
}
