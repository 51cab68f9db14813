import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readHandsFile } from "./HandsFile.ts"
import { approversInWords, fileInWords } from "./HandsWords.ts"
import { ada, approvers, bob } from "./HandsWorld.fixture.ts"
import { isName, matches } from "./NamePattern.ts"
import { polkitRules, sudoRules } from "./PrivilegeRules.ts"

const folder = mkdtempSync(join(tmpdir(), "nodepulse-hands-file-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const path = join(folder, "hands.yml")
const read = (text: string, mode = 0o600) => {
  writeFileSync(path, text)
  chmodSync(path, mode)
  return readHandsFile(path)
}
const allowing = (rule: string) => read(`server_id: web-1\n${approvers}allow:\n  - {${rule}}\n`)
const problemsOf = (text: string): string => {
  const file = read(text)
  return Result.isFailure(file) ? file.failure.message : ""
}
const problemsOfRule = (rule: string) => problemsOf(`server_id: web-1\n${approvers}allow:\n  - {${rule}}\n`)

const whole = `server_id: web-1
${approvers}allow:
  - verbs: [quota, restart, terminate]
    units: ["worker@*.service", stress.service]
    roles: [admin]
    per_hour: 3
    hours: "08:00-18:00"
    quota: "20-200"
    minutes: "1-60"
  - {verbs: [nice, terminate, kill], names: [ffmpeg], second_person: true}
`

describe("the file of a host's owner", () => {
  it("says who may sign, and what is allowed, in words", () => {
    const file = Result.getOrThrow(read(whole))
    const words = fileInWords(file)
    for (const expected of [
      'for the server "web-1"',
      "worker@*.service, stress.service, or any process of it",
      "signed by ada; from 08:00 until 18:00 by this host's clock; at most 3 an hour; quota 20 to 200; minutes 1 to 60",
      "processes called ffmpeg",
      "signed by two of ada, bob",
      "never done"
    ]) {
      assert.include(words, expected)
    }
    assert.match(
      approversInWords(file),
      /^ {2}ada \(admin\), key id [\w-]{43}\n {2}bob \(operator\), key id [\w-]{43}$/
    )
  })

  it("is what the documentation shows", () => {
    const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "acting.md"), "utf8")
    const example = /```yaml\n(server_id:[\s\S]*?)```/.exec(page)?.[1] ?? ""
    const file = read(example)
    assert.strictEqual(Result.isFailure(file) ? file.failure.message : "", "")
  })

  it("is not used where others could put another one in its place, on its way or on that of what it is a link to", () => {
    const open = mkdtempSync(join(tmpdir(), "nodepulse-open-"))
    const [there, link] = [join(open, "hands.yml"), join(tmpdir(), `nodepulse-link-${process.pid}`)]
    const failure = (at: string) => {
      const file = readHandsFile(at)
      return Result.isFailure(file) ? file.failure.message : ""
    }
    try {
      writeFileSync(there, whole, { mode: 0o600 })
      symlinkSync(open, link)
      for (const at of [there, join(link, "hands.yml")]) {
        chmodSync(open, 0o755)
        assert.strictEqual(failure(at), "")
        chmodSync(open, 0o775)
        assert.include(
          failure(at),
          `others can put another file in its place, since they can write to ${open}`.slice(0, 60)
        )
        chmodSync(open, 0o1777)
        assert.strictEqual(failure(at), "")
      }
    } finally {
      rmSync(link, { force: true })
      rmSync(open, { recursive: true })
    }
  })

  it("is not used where others could have written it, or it is no file", () => {
    for (const mode of [0o660, 0o606, 0o622]) {
      const file = read(whole, mode)
      assert.include(Result.isFailure(file) ? file.failure.message : "", "others can write it")
    }
    assert.isTrue(Result.isSuccess(read(whole, 0o644)))
    const others = readHandsFile(path, { owner: 4_711 })
    assert.strictEqual(Result.isSuccess(others), process.geteuid?.() === 0)
    assert.isTrue(Result.isFailure(readHandsFile(folder)))
    assert.isTrue(Result.isFailure(readHandsFile(join(folder, "none.yml"))))
    symlinkSync("/dev/zero", join(folder, "zero.yml"))
    assert.isTrue(Result.isFailure(readHandsFile(join(folder, "zero.yml"))))
  })

  it("is refused with an unknown key, a key twice, or nothing in it, and all problems are said at once", () => {
    for (const [text, problem] of [
      ["", "server_id is missing"],
      [`server_id: web-1\n${approvers}`, "allow is missing"],
      [whole.replace("per_hour", "per_hours"), 'did you mean "per_hour"'],
      [`${whole}server_id: web-2\n`, "not valid YAML"],
      [whole.replace("admin]", "reader]"), "roles[0]"],
      [whole.replace("quota, restart", "exec, restart"), "verbs[0]"],
      [whole.replace('"08:00-18:00"', '"8-18"'), "two times of a day"],
      [whole.replace("20-200", "200-20"), "a least and a most"],
      [whole.replace("per_hour: 3", "per_hour: 0"), "between 1 and 1000"],
      [whole.replace(ada.publicKey, "AAAA"), "32 bytes in base64"],
      [whole.replace(ada.publicKey, Buffer.alloc(32).toString("base64")), "32 bytes in base64"],
      [whole.replace(ada.publicKey, bob.publicKey), "is also the key of"],
      [`${whole}# ${"x".repeat(70_000)}`, "larger than"]
    ] as const) {
      assert.include(problemsOf(text), problem)
    }
    assert.match(problemsOf(whole.replace("per_hour: 3", "per_hour: 0").replace("20-200", "x")), /per_hour[\s\S]*quota/)
  })

  it("is refused where a rule can never hold", () => {
    for (const [rule, problem] of [
      ["verbs: [nice]", "names neither units nor names"],
      ["verbs: [quota], names: [ffmpeg]", "names no units for quota"],
      ["verbs: [restart], units: [a.service], names: [ffmpeg]", "are of processes"],
      ["verbs: [restart], units: [a.service], roles: [admin], second_person: true", "needs two people with role admin"],
      ["verbs: [], units: [a.service]", "a list of 1 to 7"],
      ["verbs: [restart], units: []", "a list of 1 to"]
    ] as const) {
      assert.include(problemsOfRule(rule), problem, rule)
    }
  })

  it("is refused with a pattern that matches everything, and takes one that says something", () => {
    for (const unit of [
      "*",
      "*.service",
      "*.*",
      "**.scope",
      "*a*.service",
      "*e*",
      "s*",
      "*ser*",
      "*.slice",
      "-.slice",
      "a/b.service",
      "a b.service",
      "nginx"
    ]) {
      assert.notStrictEqual(problemsOfRule(`verbs: [restart], units: ["${unit}"]`), "", unit)
    }
    for (const name of ["*", "**", "a*", "*sh", " ", "", "a/b"]) {
      assert.notStrictEqual(problemsOfRule(`verbs: [kill], names: ["${name}"]`), "", name)
    }
    for (const unit of ["nginx.service", "worker@*.service", "docker-*.scope", "php*-fpm.service", "a.service"]) {
      assert.isTrue(Result.isSuccess(allowing(`verbs: [restart], units: ["${unit}"]`)), unit)
    }
    for (const name of ["ffmpeg", "php-fpm*", "R"]) assert.isTrue(isName(name, "process"), name)
  })

  it("becomes the rights that polkit and sudo give, for its units alone", () => {
    const file = Result.getOrThrow(read(whole))
    const polkit = polkitRules(file, "nodepulse-hands")
    const may = (
      verb: string,
      unit: string,
      user = "nodepulse-hands",
      id = "org.freedesktop.systemd1.manage-units"
    ) => {
      let rule: (action: object, subject: object) => unknown = () => undefined
      const world = { addRule: (one: typeof rule) => (rule = one), Result: { YES: "yes", NO: "no" } }
      new Function("polkit", polkit)(world)
      const fields: Record<string, string> = { verb, unit }
      return rule({ id, lookup: (key: string) => fields[key] }, { user })
    }
    for (const unit of ["stress.service", "worker@1.service", "worker@.service"]) {
      assert.strictEqual(may("restart", unit), "yes")
      assert.strictEqual(may("set-property", unit), "yes")
      assert.strictEqual(may("start", unit), "no")
      assert.strictEqual(may("stop", unit), "no")
      assert.isUndefined(may("restart", unit, "somebody"))
      assert.isUndefined(may("restart", unit, "nodepulse-hands", "org.freedesktop.systemd1.manage-unit-files"))
    }
    for (const unit of [
      "ssh.service",
      "xstress.service",
      "stressXservice",
      "stress.service.evil",
      "worker@1/x.service"
    ]) {
      assert.strictEqual(may("restart", unit), "no", unit)
    }
    assert.strictEqual(may("start", `nodepulse-hands-revert@${"a".repeat(32)}.service`), "yes")
    const sudo = sudoRules(file, "nodepulse-hands")
    assert.include(sudo, "/usr/bin/systemctl ^restart stress\\.service$")
    assert.include(sudo, "set-property --runtime")
  })
})

describe("a pattern of the file", () => {
  it("matches as its stars say, and in little time", () => {
    for (const [pattern, name, isMatch] of [
      ["a.service", "a.service", true],
      ["a.service", "ab.service", false],
      ["a*.service", "a.service", true],
      ["a*.service", "ab.c.service", true],
      ["abc*abc", "abcabc", true],
      ["abc*abc", "abcab", false],
      ["abc*bcd", "abcd", false],
      ["a*b*c", "a1b2c", true],
      ["a*b*c", "acb", false],
      ["*abc*", "xabcx", true]
    ] as const) {
      assert.strictEqual(matches(pattern, name), isMatch, `${pattern} ${name}`)
    }
    assert.isFalse(matches(`${"a*".repeat(120)}b`, "a".repeat(255)))
  })
})
