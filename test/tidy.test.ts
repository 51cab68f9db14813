/**
 * A test that reads the repository: the rules of the house that a compiler does not know (`test/tidy/Rules.ts`). Each names what
 * to do instead, and is tried on a small bad example first.
 */
import { describe, expect, test } from "vitest"
import config from "../plugins.config.ts"
import { checkout, madeUp } from "./tidy/Repository.ts"
import { RULES } from "./tidy/Rules.ts"

const repository = checkout(config.exporters.map(({ name }) => name))

for (const [about, rules] of Object.entries(RULES)) {
  describe(about, () => {
    for (const { bad, find, instead, promise } of rules) {
      test(promise, () => expect(find(repository), instead).toEqual([]))
      test(`and this would be found: ${promise}`, () => {
        expect(find(madeUp(bad))).not.toEqual([])
      })
    }
  })
}
