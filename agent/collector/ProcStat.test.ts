import { assert, describe, it } from "@effect/vitest"
import { parseProcStat } from "./ProcStat.ts"

const REST = "S 1 4321 4321 0 -1 4194560 105 0 17 0 150 50 7 8 20 -5 3 0 987654 23470080 876 18446744073709551615 1 1"

const parse = (comm: Buffer | string, rest = REST) => {
  const line = Buffer.concat([Buffer.from("4321 ("), Buffer.from(comm), Buffer.from(`) ${rest} 0 0 0\n`)])
  return parseProcStat(line, line.length)
}

describe("a line of /proc/<pid>/stat", () => {
  it("gives identity, parent, CPU time and memory", () => {
    assert.deepStrictEqual(parse("nginx"), {
      pid: 4321,
      comm: "nginx",
      state: "S",
      parent: 1,
      kernelThread: false,
      majorFaults: 17,
      userTicks: 150,
      systemTicks: 50,
      childTicks: 15,
      threads: 3,
      startTicks: 987_654,
      residentPages: 876
    })
  })

  it("may have a command name that looks like the rest of the line", () => {
    const comms = ["p) (q", ") R 1 2 3", "a b", "(sd-pam)", "", "two\nlines", "tab\there", "ends)", ") ", "名前"]
    for (const comm of comms) {
      const stat = parse(comm)
      assert.strictEqual(stat?.comm, comm)
      assert.strictEqual(stat?.userTicks, 150)
      assert.strictEqual(stat?.residentPages, 876)
    }
  })

  it("shows bytes that are not UTF-8 legibly, always in the same way, and keeps what is", () => {
    assert.strictEqual(parse(Buffer.from([0x61, 0xff, 0x62]))?.comm, "a\\xffb")
    // Fifteen bytes are all that a name has: a character of three may be cut in the middle.
    assert.strictEqual(parse(Buffer.from("ü€ü").subarray(0, 4))?.comm, "ü\\xe2\\x82")
    assert.strictEqual(parse(Buffer.from([0xc3, 0x28, 0xc3, 0xa9]))?.comm, "\\xc3(é")
  })

  it("tells kernel threads by their flag", () => {
    assert.isTrue(parse("kworker/0:1", REST.replace("4194560", "69238880"))?.kernelThread)
  })

  it("is nothing where it is cut off, or no such line", () => {
    const whole = Buffer.from(`4321 (nginx) ${REST} 0\n`)
    const needed = whole.indexOf(" 18446744073709551615")
    for (let length = 0; length <= needed; length++) assert.isUndefined(parseProcStat(whole, length))
    for (const text of ["", "(", ")", "()", "1 2 3", ") (", "x (y) S 1"]) {
      assert.isUndefined(parseProcStat(Buffer.from(text), text.length))
    }
  })

  it("does not look behind its length, where the buffer holds an older, longer line", () => {
    const line = Buffer.from(`4321 (nginx) ${REST} 0\n`)
    const buffer = Buffer.concat([line, Buffer.from("older) S 9 9 9 9")])
    assert.strictEqual(parseProcStat(buffer, line.length)?.comm, "nginx")
  })
})
