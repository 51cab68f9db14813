import { randomBytes, randomUUID } from "node:crypto"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { approve } from "../../src/protocol/Approvals.ts"
import type { Order, SignedOrder } from "../../src/protocol/Orders.ts"
import type { RefusalCode } from "../../src/protocol/OrderText.ts"
import { FakeSystemd } from "./FakeSystemd.fixture.ts"
import type { HandsFile } from "./HandsFile.ts"
import { handle, judge, recover } from "./HandsOrders.ts"
import {
  ada,
  bob,
  eve,
  fileOf,
  folder,
  hostIn,
  orderOf,
  type Person,
  person,
  processes,
  signed,
  sleeper,
  targetOf,
  terminating,
  waitUntil
} from "./HandsWorld.fixture.ts"
import { unitOf } from "./HostUnits.ts"
import { unitNotTouched } from "./OrderTarget.ts"
import { OwnRun } from "./OwnRun.ts"
import { STILL_THERE } from "./ProcessActs.ts"

const SLEEP = `  - {verbs: [nice, terminate, kill], names: [sleep], per_hour: 100}\n`
const STRESS = `  - {verbs: [weight, quota, memory_high, restart], units: [stress.service], per_hour: 100}\n`

const world = Effect.fnUntraced(function* (allow: string) {
  const at = yield* folder
  const file = fileOf(at, allow)
  const host = yield* hostIn(at)
  const code = (raw: unknown, by: HandsFile = file) =>
    Effect.map(judge(host, by, raw), (verdict) => ("code" in verdict ? verdict.code : "accepted"))
  const outcomes = () => host.journal.unsent()
  const last = () => outcomes().at(-1)
  return { at, file, host, code, outcomes, last, handle: (raw: unknown) => handle(host, file, raw) }
})

const isAlive = (pid: number) => !["Z", "X", undefined].includes(processes.startOf(pid)?.state)

describe("an order", () => {
  it.effect("is refused unless a person whom this host knows has signed exactly this, just now", () =>
    Effect.gen(function* () {
      const { code } = yield* world(SLEEP)
      const { pid } = yield* sleeper()
      yield* TestClock.adjust("1 hour")
      const now = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
      const order = terminating(pid!)
      const by = (who: Person, expires: number, name = who.name): SignedOrder => ({
        order,
        approvals: [approve(order, name, expires, who.key)]
      })
      const good = by(ada, now + 60)
      assert.strictEqual(yield* code(good), "accepted")
      for (const [raw, expected] of [
        [{ order, approvals: [] }, "unsigned"],
        [by(eve, now + 60), "unknown-key"],
        [by(person("ada"), now + 60), "unknown-key"],
        [by(ada, now + 60, "bob"), "bad-signature"],
        [{ ...good, order: { ...order, reason: "another" } }, "bad-signature"],
        [{ ...good, order: { ...order, verb: "kill" } }, "bad-signature"],
        [{ ...good, order: { ...order, target: { ...order.target, pid: 1 } } }, "bad-signature"],
        [{ ...good, approvals: [{ ...good.approvals[0]!, expires: now + 61 }] }, "bad-signature"],
        [by(ada, now), "expired"],
        [by(ada, now - 1), "expired"],
        [by(ada, now + 1), "accepted"],
        [by(ada, now + 65), "accepted"],
        [by(ada, now + 66), "too-far-ahead"],
        [by(ada, now + 86_400), "too-far-ahead"],
        // One good approval does not carry another that is not.
        [{ order, approvals: [...good.approvals, ...by(eve, now + 60).approvals] }, "unknown-key"]
      ] as ReadonlyArray<[unknown, string]>) {
        assert.strictEqual(yield* code(raw), expected)
      }
      // The clock that decides is this host's, wherever it jumps.
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* code(good), "expired")
      yield* TestClock.setTime(now * 1_000)
      assert.strictEqual(yield* code(good), "accepted")
      yield* TestClock.setTime((now - 3_600) * 1_000)
      assert.strictEqual(yield* code(good), "too-far-ahead")
    })
  )

  it.effect("is refused for another host, another boot, and for what the file does not name", () =>
    Effect.gen(function* () {
      const { code, file } = yield* world(SLEEP + STRESS)
      const systemd = new FakeSystemd()
      const stress = systemd.add("stress.service", { cgroup: "/stress" })
      const other = systemd.add("other.service")
      const { pid } = yield* sleeper()
      const named = yield* sleeper("exec cat /dev/zero >/dev/null", "cat")
      const unit = (name: string, invocation: string, more: Partial<Order> = {}) =>
        orderOf({ verb: "restart", target: { unit: name, invocation }, settings: {}, ...more } as never)
      for (const [order, expected] of [
        [terminating(pid!), "accepted"],
        [terminating(pid!, { server: "web-2" }), "other-host"],
        [terminating(pid!, { boot_id: randomUUID() }), "other-boot"],
        [terminating(named.pid!), "not-allowed"],
        [unit("stress.service", stress.invocation), "accepted"],
        [unit("other.service", other.invocation), "not-allowed"],
        [unit("stress.service", randomBytes(16).toString("hex")), "target-changed"],
        [unit("none.service", stress.invocation), "target-changed"]
      ] as ReadonlyArray<[Order, string]>) {
        assert.strictEqual(yield* Effect.provide(code(yield* signed(order, ada)), systemd.layer), expected)
      }
      stress.active = "failed"
      const late = yield* signed(unit("stress.service", stress.invocation), ada)
      assert.strictEqual(yield* Effect.provide(code(late), systemd.layer), "target-changed")
      // What the file says at the moment of the order counts.
      const signedNow = yield* signed(terminating(pid!), ada)
      assert.strictEqual(yield* code(signedNow, { ...file, rules: [] }), "not-allowed")
      assert.strictEqual(yield* code(signedNow, { ...file, approvers: [] }), "unknown-key")
    })
  )

  it.effect("is refused where the process is not the one of the preview any more", () =>
    Effect.gen(function* () {
      const { code, handle, last } = yield* world(SLEEP)
      const child = yield* sleeper()
      const target = targetOf(child.pid!)
      for (const changed of [
        { ...target, start_ticks: target.start_ticks + 1 },
        { ...target, start_ticks: target.start_ticks - 1 },
        { ...target, name: "sleeq" },
        { ...target, pid: 4_194_304 }
      ]) {
        const order = orderOf({ verb: "terminate", target: changed, settings: {} } as never)
        assert.strictEqual(yield* code(yield* signed(order, ada)), "target-changed")
      }
      // It has become another program since, with the same pid and start.
      const other = yield* sleeper("read line </proc/self/stat; sleep 0.2; exec sleep 300")
      const before = terminating(other.pid!)
      yield* Effect.promise(() => waitUntil(() => processes.of(other.pid!)?.name === "sleep"))
      assert.strictEqual(yield* code(yield* signed(before, ada)), "target-changed")
      // It has ended, and nobody has taken note: a zombie. Its parent is this test, whose loop reaps it later.
      const parent = yield* sleeper("sleep 0.01 & exec sleep 300")
      yield* Effect.promise(() =>
        waitUntil(() => processes.all().some((one) => one.parent === parent.pid && one.state === "Z"))
      )
      const zombie = processes.all().find((one) => one.parent === parent.pid && one.state === "Z")!
      assert.strictEqual(yield* code(yield* signed(terminating(zombie.pid), ada)), "target-changed")
      yield* handle(yield* signed(terminating(zombie.pid), ada))
      assert.include(last()?.message, "has ended")
    })
  )

  it.effect("is never about what nobody may act on, whatever the file says", () =>
    Effect.gen(function* () {
      const { code, file } = yield* world(SLEEP)
      const everything: HandsFile = {
        ...file,
        rules: [
          { ...file.rules[0]!, names: ["*"] },
          { ...file.rules[0]!, verbs: ["restart", "quota"], names: [], units: ["*"] }
        ]
      }
      const systemd = new FakeSystemd()
      const own = processes.ownCgroup()
      const pids = processes.all().filter(({ kernelThread, pid }) => pid <= 2 || kernelThread)
      for (const { pid } of [...pids.slice(0, 5), { pid: process.pid }]) {
        assert.strictEqual(yield* code(yield* signed(terminating(pid), ada), everything), "forbidden-target", `${pid}`)
      }
      const named = yield* sleeper("printf sshd >/proc/$$/comm; sleep 300; :")
      yield* Effect.promise(() => waitUntil(() => processes.of(named.pid!)?.name === "sshd"))
      assert.strictEqual(yield* code(yield* signed(terminating(named.pid!), ada), everything), "forbidden-target")
      for (const [name, names] of [
        ["init.scope", []],
        ["ssh.service", ["sshd.service"]],
        ["ssh@3-1.service", []],
        ["dbus.service", []],
        ["dbus-broker.service", ["dbus.service"]],
        ["systemd-logind.service", ["dbus-org.freedesktop.login1.service"]],
        ["systemd-journald.service", []],
        ["polkit.service", []],
        ["nodepulse-agent.service", []],
        ["nodepulse-hands.service", []],
        [`nodepulse-hands-revert@${"a".repeat(32)}.service`, []],
        ["innocent.service", ["innocent.service", "sshd.service"]]
      ] as ReadonlyArray<[string, ReadonlyArray<string>]>) {
        const unit = systemd.add(name, { names: [...new Set([name, ...names])] })
        for (const asked of [name, ...names]) {
          const target = { unit: asked, invocation: unit.invocation }
          for (const more of [
            { verb: "restart", settings: {} },
            { verb: "quota", settings: { percent: 50, minutes: 1 } }
          ]) {
            const raw = yield* signed(orderOf({ target, ...more } as never), ada)
            assert.strictEqual(yield* Effect.provide(code(raw, everything), systemd.layer), "forbidden-target", asked)
          }
        }
        systemd.units.delete(name)
      }
      // A unit that would take sshd along, over another; and what this program itself runs in.
      systemd.add("ssh.service", {})
      systemd.add("middle.service", { requiredBy: ["ssh.service"] })
      const base = systemd.add("base.service", { requiredBy: ["middle.service", "base.service"] })
      const above = systemd.add("above.service", { cgroup: own === "/" ? "/x" : own })
      const restarting = (unit: string, invocation: string) =>
        signed(orderOf({ verb: "restart", target: { unit, invocation }, settings: {} } as never), ada)
      for (const more of [{ conflicts: ["ssh.service"] }, { requiredBy: ["unheard.service"] }]) {
        systemd.silent = /^unheard/
        const { invocation } = systemd.add("beside.service", more)
        const beside = yield* restarting("beside.service", invocation)
        assert.strictEqual(yield* Effect.provide(code(beside, everything), systemd.layer), "forbidden-target")
      }
      const along = yield* restarting("base.service", base.invocation)
      assert.strictEqual(yield* Effect.provide(code(along, everything), systemd.layer), "forbidden-target")
      const ours = yield* restarting("above.service", above.invocation)
      assert.strictEqual(
        yield* Effect.provide(code(ours, everything), systemd.layer),
        own === "/" ? "accepted" : "forbidden-target"
      )
    })
  )

  it.effect("is never about a thread, which has a name of its own, nor about a unit with an sshd in it", () =>
    Effect.gen(function* () {
      const { code } = yield* world(`  - {verbs: [terminate], names: ["*worker*", node, MainThread]}\n`)
      const child = yield* sleeper(`exec ${process.execPath} -e 'setInterval(() => {}, 1000)'`, undefined)
      yield* Effect.promise(() => waitUntil(() => processes.threadsOf(child.pid!).length > 5))
      for (const thread of processes.threadsOf(child.pid!).filter((one) => one !== child.pid)) {
        const { name, startTicks: start_ticks } = processes.startOf(thread)!
        const target = { pid: thread, start_ticks, name }
        const order = orderOf({ verb: "terminate", target, settings: {} } as never)
        assert.strictEqual(yield* code(yield* signed(order, ada)), "target-changed", name)
      }
      const systemd = new FakeSystemd()
      systemd.add("login.service", { cgroup: "/x" })
      const unit = (yield* Effect.provide(unitOf("login.service"), systemd.layer))!
      const inside = { ...processes.of(child.pid!)!, unit: "login.service", exe: undefined }
      for (const [name, container, expected] of [
        ["sshd-session", false, "forbidden-target"],
        ["dbus-broker-lau", false, "forbidden-target"],
        ["(sd-pam)", false, "forbidden-target"],
        ["worker", false, undefined],
        ["sshd", true, undefined]
      ] as const) {
        const why = unitNotTouched(processes, "quota", unit, [{ ...inside, name, container }])
        assert.strictEqual((yield* Effect.provide(why, systemd.layer))?.code, expected, name)
      }
    })
  )

  it.effect("has to be good still when systemd has answered", () =>
    Effect.gen(function* () {
      const { code } = yield* world(STRESS)
      const systemd = new FakeSystemd()
      const { invocation } = systemd.add("stress.service")
      const target = { unit: "stress.service", invocation }
      const raw = yield* signed(orderOf({ verb: "restart", target, settings: {} } as never), ada)
      systemd.onShow = () => TestClock.adjust("60 seconds")
      assert.strictEqual(yield* Effect.provide(code(raw), systemd.layer), "expired")
    })
  )

  it.effect("needs a second person where the file says so, and the same one twice is not two", () =>
    Effect.gen(function* () {
      const { code } = yield* world(`  - {verbs: [terminate], names: [sleep], second_person: true}\n`)
      const { pid } = yield* sleeper()
      const order = terminating(pid!)
      assert.strictEqual(yield* code(yield* signed(order, ada)), "second-person-needed")
      assert.strictEqual(yield* code(yield* signed(order, ada, ada)), "second-person-needed")
      assert.strictEqual(yield* code(yield* signed(order, ada, eve)), "unknown-key")
      assert.strictEqual(yield* code(yield* signed(order, ada, bob)), "accepted")
    })
  )

  it.effect("needs a person of the role, settings within the file's, and its hours", () =>
    Effect.gen(function* () {
      const { code, file } = yield* world(
        `  - {verbs: [nice, terminate], names: [sleep], roles: [admin], nice: "5-19", hours: "22:00-06:00"}\n`
      )
      const { pid } = yield* sleeper()
      const midnight = new Date(2026, 0, 10).getTime()
      const at = (hour: number) => TestClock.setTime(midnight + hour * 3_600_000)
      const nicing = (nice: number) =>
        orderOf({ verb: "nice", target: targetOf(pid!), settings: { nice, io: "unchanged" } } as never)
      for (const [hour, expected] of [
        [21.99, "outside-hours"],
        [22, "accepted"],
        [0, "accepted"],
        [5.99, "accepted"],
        [6, "outside-hours"],
        [12, "outside-hours"]
      ] as const) {
        yield* at(hour)
        assert.strictEqual(yield* code(yield* signed(nicing(5), ada)), expected, `${hour}`)
      }
      yield* at(23)
      assert.strictEqual(yield* code(yield* signed(nicing(4), ada)), "not-allowed")
      assert.strictEqual(yield* code(yield* signed(nicing(5), bob)), "not-allowed")
      const day = { ...file, rules: [{ ...file.rules[0]!, hours: { text: "08:00-18:00", from: 480, until: 1_080 } }] }
      assert.strictEqual(yield* code(yield* signed(nicing(5), ada), day), "outside-hours")
      yield* at(8)
      assert.strictEqual(yield* code(yield* signed(nicing(5), ada), day), "accepted")
      yield* at(18)
      assert.strictEqual(yield* code(yield* signed(nicing(5), ada), day), "outside-hours")
    })
  )

  it.effect("is done so often an hour, by the time since the boot, and is never done twice", () =>
    Effect.gen(function* () {
      const { at, code, handle, last, outcomes } = yield* world(`  - {verbs: [nice], names: [sleep], per_hour: 2}\n`)
      const { pid } = yield* sleeper()
      const nicing = (nice: number) =>
        orderOf({ verb: "nice", target: targetOf(pid!), settings: { nice, io: "unchanged" } } as never)
      const first = yield* signed(nicing(1), ada)
      yield* handle(first)
      assert.include(last(), { result: "done", order: first.order.id })
      yield* handle(first)
      assert.include(last(), { result: "refused", code: "replayed", order: first.order.id })
      assert.include(last()?.message, "done: its nice value was")
      // The same nonce in another order, or the same id with another nonce.
      yield* handle(yield* signed({ ...nicing(2), nonce: first.order.nonce }, ada))
      assert.strictEqual(last()?.code, "replayed")
      yield* handle(yield* signed({ ...nicing(2), id: first.order.id }, ada))
      assert.strictEqual(last()?.code, "replayed")
      yield* handle(yield* signed(nicing(2), ada))
      assert.strictEqual(last()?.result, "done")
      yield* handle(yield* signed(nicing(3), ada))
      assert.strictEqual(last()?.code, "rate-limited")
      assert.strictEqual(processes.niceOf(pid!), 2)
      // An hour later, and not before.
      yield* TestClock.adjust("3599 seconds")
      assert.strictEqual(yield* code(yield* signed(nicing(3), ada)), "rate-limited")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* code(yield* signed(nicing(3), ada)), "accepted")
      // Neither a restart of this program nor a clock that was set makes them forget.
      const again = yield* Effect.scoped(
        Effect.gen(function* () {
          // As after a crash: the folder is that of a process that is gone.
          cpSync(join(at, "state"), join(at, "later", "state"), { recursive: true })
          writeFileSync(join(at, "later", "state", "lock"), `4194304 1 ${processes.bootId()}`)
          const later = yield* hostIn(join(at, "later"))
          const seen = later.journal.hasSeen(first.order)
          const uses = later.journal.usesOf(later.journal.intents[0]!.rule, 10)
          return { seen, uses, unsent: later.journal.unsent().length }
        })
      )
      assert.deepStrictEqual(again, { seen: true, uses: 2, unsent: outcomes().length })
    })
  )

  it.effect("is refused, and takes nothing with it, whatever its bytes", () =>
    Effect.gen(function* () {
      const { at: folder, code, handle, last } = yield* world(SLEEP)
      const { pid } = yield* sleeper()
      const good = yield* signed(terminating(pid!), ada)
      const text = JSON.stringify(good)
      let malformed = 0
      let refusals = 0
      for (let at = 0; at < text.length; at++) {
        for (const byte of ["0", '"', "}", "\\", "\u0000", "Z", ""]) {
          const changed = text.slice(0, at) + byte + text.slice(at + 1)
          if (changed === text) continue
          let raw: unknown
          try {
            raw = JSON.parse(changed)
          } catch {
            continue
          }
          const verdict = yield* code(raw)
          // A changed byte that JSON does not mind, such as in the spelling of a number, leaves the same order.
          if (JSON.stringify(raw) === text) continue
          assert.notStrictEqual(verdict, "accepted", changed)
          refusals++
          if (verdict === "malformed") malformed++
        }
      }
      assert.isAbove(refusals, 1_000)
      assert.isAbove(malformed, 500)
      for (const odd of [
        null,
        5,
        "x",
        [],
        {},
        { order: null },
        { order: { id: "x".repeat(1e6) } },
        { ...good, more: 1 }
      ]) {
        assert.strictEqual(yield* code(odd), "malformed")
        yield* handle(odd)
        assert.include(last(), { result: "refused", code: "malformed" })
      }
      assert.isTrue(isAlive(pid!))
      // A flood of them does not fill the disk.
      for (let count = 0; count < 400; count++) yield* handle(null)
      assert.isAtMost(readFileSync(join(folder, "state", "journal"), "utf8").split("\n").length, 310)
    })
  )
})

describe("what is done", () => {
  for (const python of [true, false]) {
    it.live(
      `reaches the process, ${python ? "by a pidfd" : "without python, looked at immediately before"}, and only it`,
      () =>
        Effect.gen(function* () {
          const { handle, last } = yield* world(SLEEP)
          const systemd = new FakeSystemd()
          if (!python) systemd.missing.add("python3")
          const [one, other] = [yield* sleeper(), yield* sleeper()]
          yield* Effect.provide(handle(yield* signed(terminating(one.pid!), ada)), systemd.layer)
          assert.include(last(), { result: "done", message: "it was sent SIGTERM and has ended" })
          assert.isFalse(isAlive(one.pid!))
          assert.isTrue(isAlive(other.pid!))
        })
    )
  }

  it.live("kills a process only when it was asked to end before, and has not for 5 seconds", () =>
    Effect.gen(function* () {
      const { handle, last } = yield* world(`  - {verbs: [terminate, kill], names: [sh]}\n`)
      const systemd = new FakeSystemd()
      const stubborn = yield* sleeper("trap '' TERM; while :; do sleep 0.1; done")
      yield* Effect.sleep("100 millis")
      const killing = () =>
        signed(orderOf({ verb: "kill", target: targetOf(stubborn.pid!), settings: {} } as never), ada)
      yield* handle(yield* killing())
      assert.strictEqual(last()?.code, "term-first")
      yield* Effect.provide(handle(yield* signed(terminating(stubborn.pid!), ada)), systemd.layer)
      assert.include(last(), { result: "failed", message: "it was sent SIGTERM and has not ended within 5 seconds" })
      assert.isTrue(isAlive(stubborn.pid!))
      yield* Effect.provide(handle(yield* killing()), systemd.layer)
      assert.include(last(), { result: "done", message: "it was sent SIGKILL and has ended" })
      assert.isFalse(isAlive(stubborn.pid!))
    })
  )

  it.effect(
    "kills none earlier than 5 seconds after it was asked to end, nor one that was asked in another life of its pid",
    () =>
      Effect.gen(function* () {
        const { code, file, host } = yield* world(SLEEP)
        const { pid } = yield* sleeper()
        const asked = terminating(pid!)
        const { up } = yield* host.use
        host.journal.intend({ order: asked, by: ["ada"], rule: file.rules[0]!.id, at: 0, up })
        const earlier = { ...targetOf(pid!), start_ticks: 1 }
        const other = yield* sleeper()
        const before = terminating(other.pid!, { target: { ...earlier, pid: other.pid! } } as never)
        host.journal.intend({ order: before, by: ["ada"], rule: file.rules[0]!.id, at: 0, up })
        const ending = (of: Order, result: "failed" | "interrupted", message: string) =>
          host.journal.conclude(
            { id: randomUUID(), order: of.id, result, code: null, message, at: 0, by: ["ada"], reverts_at: null },
            up
          )
        for (const one of [asked, before]) ending(one, "failed", STILL_THERE)
        // That it was asked to end was not seen to fail: it may never have been asked.
        const third = yield* sleeper()
        const unheard = terminating(third.pid!)
        host.journal.intend({ order: unheard, by: ["ada"], rule: file.rules[0]!.id, at: 0, up })
        const killing = (target: number) =>
          Effect.flatMap(
            signed(orderOf({ verb: "kill", target: targetOf(target), settings: {} } as never), ada),
            (raw) => code(raw)
          )
        yield* TestClock.adjust("4900 millis")
        assert.strictEqual(yield* killing(pid!), "term-first")
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* killing(pid!), "accepted")
        assert.strictEqual(yield* killing(other.pid!), "term-first")
        assert.strictEqual(yield* killing(third.pid!), "term-first")
        ending(unheard, "failed", "this user may not send SIGTERM (CAP_KILL is missing)")
        assert.strictEqual(yield* killing(third.pid!), "term-first")
      })
  )

  it.live("sets the nice value and the I/O class of all threads", () =>
    Effect.gen(function* () {
      const { handle, last } = yield* world(`  - {verbs: [nice], names: ["node*", MainThread]}\n`)
      const systemd = new FakeSystemd()
      const child = yield* sleeper(`exec ${process.execPath} -e 'setInterval(() => {}, 1000)'`)
      yield* Effect.promise(() => waitUntil(() => processes.threadsOf(child.pid!).length > 5))
      yield* Effect.sleep("200 millis")
      const target = targetOf(child.pid!)
      const order = orderOf({ verb: "nice", target, settings: { nice: 7, io: "idle" } } as never)
      yield* Effect.provide(handle(yield* signed(order, ada)), systemd.layer)
      assert.match(last()?.message ?? "", /^its nice value was -?\d+ and is 7, its I\/O class is idle, in \d+ threads$/)
      const values = processes.threadsOf(child.pid!).map((thread) => processes.niceOf(thread))
      assert.deepStrictEqual(new Set(values), new Set([7]))
    })
  )

  it.effect("restrains a unit, plans what takes it back first, and restarts it once", () =>
    Effect.gen(function* () {
      const { handle, host, last } = yield* world(STRESS)
      const systemd = new FakeSystemd()
      const stress = systemd.add("stress.service")
      const asked = (more: object) =>
        signed(orderOf({ target: { unit: "stress.service", invocation: stress.invocation }, ...more } as never), ada)
      const doing = (raw: SignedOrder) => Effect.provide(handle(raw), systemd.layer)
      yield* doing(yield* asked({ verb: "quota", settings: { percent: 20, minutes: 10 } }))
      assert.include(last(), { result: "done", reverts_at: 600 })
      assert.strictEqual(stress.numbers.CPUQuotaPerSecUSec, "200000")
      const service = host.reverts.serviceOf("stress.service", "quota")
      assert.deepStrictEqual(systemd.calls, [`start ${service}`, "set-property --runtime stress.service CPUQuota=20%"])
      // Once more before its hour: what was there before the first is what it goes back to.
      yield* doing(yield* asked({ verb: "quota", settings: { percent: 30, minutes: 10 } }))
      assert.include(host.reverts.planned("stress.service", "quota"), { set: "300000", before: "18446744073709551615" })
      // Somebody else has set it since: then that is what was there.
      stress.numbers.CPUQuotaPerSecUSec = "990000"
      yield* doing(yield* asked({ verb: "quota", settings: { percent: 30, minutes: 10 } }))
      assert.include(host.reverts.planned("stress.service", "quota"), { set: "300000", before: "990000" })
      yield* doing(yield* asked({ verb: "weight", settings: { weight: 20, minutes: 1 } }))
      assert.strictEqual(stress.numbers.CPUWeight, "20")
      const run = stress.invocation
      yield* doing(yield* asked({ verb: "restart", settings: {} }))
      assert.strictEqual(last()?.result, "done")
      assert.notStrictEqual(stress.invocation, run)
    })
  )

  it.effect("is not done to a run that has begun since the order was judged", () =>
    Effect.gen(function* () {
      const { handle, host, last } = yield* world(STRESS)
      for (const more of [
        { verb: "restart", settings: {} },
        { verb: "quota", settings: { percent: 20, minutes: 10 } }
      ]) {
        const systemd = new FakeSystemd()
        const stress = systemd.add("stress.service")
        const { invocation } = stress
        let shows = 0
        systemd.onShow = () =>
          Effect.sync(() => {
            if (++shows === 2) stress.invocation = "f".repeat(32)
          })
        const order = orderOf({ target: { unit: "stress.service", invocation }, ...more } as never)
        yield* Effect.provide(handle(yield* signed(order, ada)), systemd.layer)
        assert.include(last(), {
          result: "failed",
          message: "it was started anew or stopped meanwhile: nothing was done"
        })
        assert.isEmpty(systemd.calls.filter((call) => !call.startsWith("start nodepulse-hands-revert@")))
        assert.isUndefined(host.reverts.planned("stress.service", "quota"))
      }
    })
  )

  it.live("is one signal, also where the python that has sent it says no more", () =>
    Effect.gen(function* () {
      const { handle, last } = yield* world(SLEEP)
      const { pid } = yield* sleeper()
      const said = Effect.succeed({ code: null, stdout: "sent", problem: "killed" })
      yield* Effect.provideService(handle(yield* signed(terminating(pid!), ada)), OwnRun, () => said)
      assert.include(last(), { result: "failed", message: STILL_THERE })
      assert.isTrue(isAlive(pid!))
    })
  )

  it.effect("sets nothing where nothing would take it back, or it may not, and says so", () =>
    Effect.gen(function* () {
      const { handle, host, last } = yield* world(STRESS)
      const systemd = new FakeSystemd()
      const stress = systemd.add("stress.service")
      const asked = (more: object) =>
        signed(orderOf({ target: { unit: "stress.service", invocation: stress.invocation }, ...more } as never), ada)
      for (const denied of [/^start/, /^set-property/]) {
        systemd.denied = denied
        yield* Effect.provide(
          handle(yield* asked({ verb: "quota", settings: { percent: 20, minutes: 10 } })),
          systemd.layer
        )
        assert.include(last(), { result: "failed", reverts_at: null })
        assert.include(last()?.message, "Access denied")
        assert.isUndefined(host.reverts.planned("stress.service", "quota"))
      }
      systemd.denied = /^restart/
      yield* Effect.provide(handle(yield* asked({ verb: "restart", settings: {} })), systemd.layer)
      assert.include(last()?.message, "it was not restarted: Access denied")
      assert.strictEqual(stress.numbers.CPUQuotaPerSecUSec, "18446744073709551615")
    })
  )

  it.effect("is told as interrupted where this program ended in the middle, and is not tried again", () =>
    Effect.gen(function* () {
      const { file, host, last } = yield* world(SLEEP)
      const { pid } = yield* sleeper()
      const order = terminating(pid!)
      host.journal.intend({ order, by: ["ada"], rule: file.rules[0]!.id, at: 0, up: 0 })
      yield* recover(host, file)
      assert.include(last(), { result: "interrupted", order: order.id })
      assert.include(last()?.message, "the process is still there")
      const count = host.journal.unsent().length
      yield* recover(host, file)
      assert.strictEqual(host.journal.unsent().length, count)
      assert.isTrue(isAlive(pid!))
      const code: RefusalCode | undefined = yield* Effect.map(
        judge(host, file, yield* signed(order, ada)),
        (verdict) => ("code" in verdict ? verdict.code : undefined)
      )
      assert.strictEqual(code, "replayed")
    })
  )
})
