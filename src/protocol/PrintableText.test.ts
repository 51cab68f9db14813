import { assert, describe, it } from "@effect/vitest"
import { clipped, isPrintable, printable, printableLines } from "./PrintableText.ts"

describe("text from outside", () => {
  it("cannot repaint a terminal, forge a line or turn the direction of what follows", () => {
    for (const [sent, shown] of [
      ["a\u001b[2Jb", "a\\u001b[2Jb"],
      ["a\nINFO forged", "a\\u000aINFO forged"],
      ["a\u009b2Jb", "a\\u009b2Jb"],
      ["a\u202egnp.exe", "a\\u202egnp.exe"],
      ["a\u2066b\u2069", "a\\u2066b\\u2069"],
      ["a\u2028b\u0085c", "a\\u2028b\\u0085c"],
      ["a\u200bb\ufeff", "a\\u200bb\\ufeff"],
      ["a\ud800b", "a\\ud800b"],
      ["\u{e0041}", "\\udb40\\udc41"]
    ] as const) {
      assert.strictEqual(printable(sent), shown)
      assert.isFalse(isPrintable(sent))
    }
  })

  it("stays as it is in every script", () => {
    for (const text of ["nginx: worker", "Büro 3", "数据库", "می‌خواهم", "👩‍💻", "a\\u001b"]) {
      assert.strictEqual(printable(text), text)
      assert.isTrue(isPrintable(text))
    }
  })

  it("keeps its lines where they are ours, and nothing else", () =>
    assert.strictEqual(printableLines("a:\n  - b\r\u001b"), "a:\n  - b\\u000d\\u001b"))

  it("is cut without tearing a character", () => {
    assert.strictEqual(clipped("💩".repeat(10), 4), "💩\ufffd…")
    assert.isAtMost(clipped("\u001b".repeat(100_000), 50).length, 50)
    assert.strictEqual(clipped("short", 50), "short")
  })
})
