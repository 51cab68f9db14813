/** Whether an answer is the expected one: numbers to 1e-9 relative; order, names, counts and nulls exactly. */
import { assert } from "@effect/vitest"

export const same = (actual: unknown, expected: unknown, path = "answer"): void => {
  if (typeof expected !== "object" || expected === null) {
    if (typeof expected === "number" && typeof actual === "number") near(actual, expected, path)
    else assert.strictEqual(actual, expected, path)
    return
  }
  assert.isTrue(typeof actual === "object" && actual !== null, `${path} is ${String(actual)}`)
  const fields = actual as Readonly<Record<string, unknown>>
  assert.deepStrictEqual(Object.keys(fields).sort(), Object.keys(expected).sort(), path)
  for (const [key, value] of Object.entries(expected)) same(fields[key], value, `${path}.${key}`)
}

export const near = (actual: unknown, expected: number, what: string, tolerance = 1e-9): void => {
  assert.isTrue(
    typeof actual === "number" && Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${what}: ${String(actual)} is not ${expected}`
  )
}
