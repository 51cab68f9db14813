/**
 * Each verb on a real service and a real process of a booted Debian root, with its effect measured, and taken back in time; and what is
 * never done, by the program with the rights that its unit has and none of root's. The server is played by this test: it answers polls.
 */
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto"
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { approve, rawPublicKeyOf } from "../../src/protocol/Approvals.ts"
import type { Offer, Order, Outcome, Preview, PreviewTarget } from "../../src/protocol/Orders.ts"
import { buildAgent, until } from "./AgentInRoot.ts"
import { BootedRoot, whyNot } from "./BootedRoot.ts"
import { PlayedServer } from "./PlayedServer.ts"

const project = join(import.meta.dirname, "..", "..")
const node = join(project, "node_modules", "node", "bin", "node")
const reason = whyNot({ limits: true })
if (reason !== undefined) process.stdout.write(`left out: acting, in a booted root, because ${reason}\n`)

const SPIN = "#!/bin/sh\nwhile :; do :; done\n"
const STUBBORN = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n"
const HANDS = `server_id: pulse
approvers:
  - {name: ada, role: admin, key: "KEY"}
allow:
  - {verbs: [weight, quota, memory_high, restart, nice, terminate, kill], units: ["burner*.service"], per_hour: 100}
`

describe.skipIf(reason !== undefined)("on a machine whose owner lets people act", () => {
  let root: BootedRoot
  let bundle: string | undefined
  const server = new PlayedServer()
  const listener = createServer(server.handle)
  const { privateKey } = generateKeyPairSync("ed25519")

  const put = (path: string, content: string, mode = 0o644) => {
    mkdirSync(join(root.path(path), ".."), { recursive: true })
    writeFileSync(root.path(path), content, { mode })
  }
  const approved = (order: Order) => approve(order, "ada", Math.floor(Date.now() / 1_000) + 60, privateKey)
  const offered = (preview: Preview, verb: Order["verb"], name?: string): Offer => {
    const offer = preview.offers.find(
      (one) => one.verb === verb && (name === undefined || ("name" in one.target && one.target.name === name))
    )
    if (offer === undefined) throw new Error(`${verb} is not offered: ${JSON.stringify(preview)}`)
    return offer
  }
  const orderOf = (preview: Preview, offer: Offer, settings: object = {}): Order =>
    ({
      ...{
        version: 1,
        id: randomUUID(),
        server: "pulse",
        boot_id: preview.boot_id,
        verb: offer.verb,
        target: offer.target
      },
      ...{ settings, reason: "it burns", nonce: randomBytes(16).toString("base64url") }
    }) as Order
  const act = async (
    target: PreviewTarget,
    verb: Order["verb"],
    settings: object = {},
    name?: string
  ): Promise<Outcome> => {
    const preview = await server.preview(target)
    const order = orderOf(preview, offered(preview, verb, name), settings)
    return server.order(order, [approved(order)])
  }
  const show = async (unit: string, property: string) =>
    (await root.shell(`systemctl show -P ${property} ${unit}`)).trim()
  const mainPid = async (unit: string) => Number(await show(unit, "MainPID"))
  const service = (name: string, program: string) =>
    root.shell(`systemd-run --quiet --unit=${name} -p CPUAccounting=yes -p Restart=no /usr/local/bin/${program}`)
  /** CPU of a unit's main process in percent of one core, over so many seconds. */
  const cpuOf = async (unit: string, seconds = 3) => {
    const pid = await mainPid(unit)
    // Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second; its name holds no blank.
    const used = async () => {
      const fields = (await root.shell(`cat /proc/${pid}/stat`)).split(" ")
      return { ticks: Number(fields[13]) + Number(fields[14]), at: performance.now() }
    }
    const before = await used()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    const after = await used()
    return ((after.ticks - before.ticks) * 1_000) / (after.at - before.at)
  }

  beforeAll(async () => {
    await new Promise<void>((resolve) => void listener.listen(0, "127.0.0.1", resolve))
    bundle = await buildAgent()
    root = await BootedRoot.boot("pulse", { limits: true })
    await root.shell("apt-get -qq update && apt-get -qq install -y --no-install-recommends polkitd >/dev/null 2>&1")
    for (const [from, to] of [
      [node, "/usr/lib/nodepulse/node"],
      [join(bundle, "hands", "nodepulse-hands.mjs"), "/usr/lib/nodepulse-hands/nodepulse-hands.mjs"],
      [join(project, "packaging", "hands", "revert"), "/usr/lib/nodepulse-hands/revert"]
    ] as const) {
      mkdirSync(join(root.path(to), ".."), { recursive: true })
      copyFileSync(from, root.path(to))
    }
    put(
      "/usr/bin/nodepulse-hands",
      '#!/bin/sh\nexec /usr/lib/nodepulse/node /usr/lib/nodepulse-hands/nodepulse-hands.mjs "$@"\n',
      0o755
    )
    for (const unit of ["nodepulse-hands.service", "nodepulse-hands-revert@.service"]) {
      put(`/etc/systemd/system/${unit}`, readFileSync(join(project, "packaging", "systemd", unit), "utf8"))
    }
    put("/usr/local/bin/spin", SPIN, 0o755)
    put("/usr/local/bin/stubborn", STUBBORN, 0o755)
    put(
      "/etc/nodepulse/nodepulse.yml",
      `server: {url: "http://127.0.0.1:${(listener.address() as AddressInfo).port}", token_file: /etc/nodepulse/agent.token}\n`
    )
    put("/etc/nodepulse/agent.token", "np_agent_test", 0o640)
    put("/etc/nodepulse/hands.yml", HANDS.replace("KEY", Buffer.from(rawPublicKeyOf(privateKey)).toString("base64")))
    await root.shell(
      `for user in agent hands; do useradd --system --user-group --no-create-home --shell /usr/sbin/nologin nodepulse-$user; done
       chown root:nodepulse-agent /etc/nodepulse/agent.token
       nodepulse-hands hands --rules polkit > /etc/polkit-1/rules.d/50-nodepulse-hands.rules
       systemctl daemon-reload && systemctl restart polkit && systemctl start nodepulse-hands`
    )
  })

  afterAll(async () => {
    if (process.env.NODEPULSE_SHOW_LOG === "true") {
      process.stdout.write((await root.run("journalctl", "--no-pager", "-u", "nodepulse-hands*")).stdout)
    }
    await root?.stop()
    listener.close()
    listener.closeAllConnections()
    if (bundle !== undefined) rmSync(bundle, { recursive: true, force: true })
  })

  test("it runs as its own user with two rights, and without its file not at all", async () => {
    const status = await root.shell("cat /proc/$(systemctl show -P MainPID nodepulse-hands)/status")
    // CAP_KILL and CAP_SYS_NICE.
    expect(/^CapEff:\s+(\w+)$/m.exec(status)?.[1]).toBe((2 ** 5 + 2 ** 23).toString(16).padStart(16, "0"))
    expect(/^NoNewPrivs:\s+(\d)$/m.exec(status)?.[1]).toBe("1")
    expect(
      (
        await root.shell(
          "ps -o user= -p $(systemctl show -P MainPID nodepulse-hands) 2>/dev/null || stat -c %U /proc/$(systemctl show -P MainPID nodepulse-hands)"
        )
      ).trim()
    ).toMatch(/^nodepul/)
    expect((await root.shell("nodepulse-hands hands --check")).split("\n")[0]).toContain(
      'can be used. It is for the server "pulse"'
    )
    await root.shell("cp /etc/nodepulse/hands.yml /tmp/hands.yml && chmod g+w /tmp/hands.yml")
    const open = await root.run("nodepulse-hands", "hands", "--check", "--file", "/tmp/hands.yml")
    expect(open).toMatchObject({ code: 1 })
    expect(open.stderr).toContain("others can write it")
  })

  test("a quota holds a unit to its share of the CPU, and is taken back though the program was killed", async () => {
    await service("burner-quota", "spin")
    const before = await cpuOf("burner-quota.service")
    const outcome = await act({ unit: "burner-quota.service" }, "quota", { percent: 20, minutes: 1 })
    expect(outcome).toMatchObject({ result: "done", by: ["ada"] })
    const during = await cpuOf("burner-quota.service")
    await root.shell("systemctl kill --signal=SIGKILL nodepulse-hands.service")
    // How much it takes without one is for the machine and its other work to say.
    expect(during).toBeLessThan(25)
    process.stdout.write(`quota: ${before.toFixed(1)} % of a core before, ${during.toFixed(1)} % during\n`)
    await server.preview({ unit: "burner-quota.service" })
  })

  test("a weight and a memory limit are set on the unit, and somebody else's value is left alone", async () => {
    await service("burner-weight", "spin")
    expect(await act({ unit: "burner-weight.service" }, "weight", { weight: 20, minutes: 1 })).toMatchObject({
      result: "done"
    })
    expect(await show("burner-weight.service", "CPUWeight")).toBe("20")
    await root.shell("systemctl set-property --runtime burner-weight.service CPUWeight=77")
    const memory = await act({ unit: "burner-weight.service" }, "memory_high", { bytes: 64 * 1024 * 1024, minutes: 1 })
    const isUnified = (await root.run("test", "-f", "/sys/fs/cgroup/cgroup.controllers")).code === 0
    expect(memory).toMatchObject(isUnified ? { result: "done" } : { result: "failed" })
    if (isUnified) expect(await show("burner-weight.service", "MemoryHigh")).toBe(String(64 * 1024 * 1024))
  })

  test("a nice value reaches the process of another user, with its I/O class", async () => {
    await service("burner-nice", "spin")
    const pid = await mainPid("burner-nice.service")
    const outcome = await act({ pid }, "nice", { nice: 15, io: "idle" })
    expect(outcome).toMatchObject({ result: "done" })
    const stat = await root.shell(`cat /proc/${pid}/stat; ionice -p ${pid}`)
    expect(stat.split(" ")[18]).toBe("15")
    expect(stat).toContain("idle")
  })

  test("a process is asked to end, and killed only after it did not", async () => {
    await service("burner-term", "spin")
    const pid = await mainPid("burner-term.service")
    expect(await act({ pid }, "terminate")).toMatchObject({
      result: "done",
      message: "it was sent SIGTERM and has ended"
    })
    expect((await root.run("test", "-d", `/proc/${pid}`)).code).toBe(1)
    await service("burner-kill", "stubborn")
    const stubborn = await mainPid("burner-kill.service")
    const early = await server.preview({ pid: stubborn })
    expect(offered(early, "kill").refusal).toMatchObject({ code: "term-first" })
    expect(await act({ pid: stubborn }, "terminate")).toMatchObject({ result: "failed" })
    expect((await root.run("test", "-d", `/proc/${stubborn}`)).code).toBe(0)
    expect(await act({ pid: stubborn }, "kill")).toMatchObject({
      result: "done",
      message: "it was sent SIGKILL and has ended"
    })
  })

  test("a unit is restarted once, and an order for the run before is refused", async () => {
    await service("burner-restart", "spin")
    const before = await mainPid("burner-restart.service")
    const preview = await server.preview({ unit: "burner-restart.service" })
    expect(preview.unit).toMatchObject({
      unit: "burner-restart.service",
      main_pid: before,
      restart: "no",
      processes: 1
    })
    const order = orderOf(preview, offered(preview, "restart"))
    const late = orderOf(preview, offered(preview, "restart"))
    expect(await server.order(order, [approved(order)])).toMatchObject({ result: "done" })
    expect(await mainPid("burner-restart.service")).not.toBe(before)
    expect(await server.order(late, [approved(late)])).toMatchObject({ result: "refused", code: "target-changed" })
  })

  test("nobody acts on PID 1, the bus, this program, or what the file does not name; polkit would not let it either", async () => {
    await service("bystander", "spin")
    const units = ["systemd-journald.service", "nodepulse-hands.service", "bystander.service", "dbus.service"]
    // As many at once as a poll brings.
    for (const preview of await Promise.all(units.map((unit) => server.preview({ unit })))) {
      const code: unknown = expect.stringMatching(/forbidden-target|not-allowed/)
      expect(preview).toMatchObject({ offers: [], processes: [], refusal: { code } })
    }
    expect(await server.preview({ pid: 1 })).toMatchObject({ refusal: { code: "forbidden-target" }, processes: [] })
    const burner = await server.preview({ unit: "burner-nice.service" })
    const stray = orderOf(burner, {
      ...offered(burner, "restart"),
      target: { unit: "bystander.service", invocation: await show("bystander.service", "InvocationID") }
    })
    expect(await server.order(stray, [approved(stray)])).toMatchObject({ result: "refused", code: "not-allowed" })
    const unsigned = orderOf(burner, offered(burner, "restart"))
    expect(await server.order(unsigned, [])).toMatchObject({ result: "refused", code: "unsigned" })
    const asHands = (command: string) =>
      root.run("setpriv", "--reuid=nodepulse-hands", "--regid=nodepulse-hands", "--clear-groups", "sh", "-c", command)
    expect((await asHands("systemctl --no-ask-password restart bystander.service")).code).not.toBe(0)
    expect((await asHands("systemctl --no-ask-password stop burner-nice.service")).code).not.toBe(0)
    expect((await asHands("systemd-run --no-ask-password --wait id")).code).not.toBe(0)
  })

  test("what was set is taken back within its minute, and the journal of the machine tells all", async () => {
    await until(
      "the quota is taken back",
      async () => (await show("burner-quota.service", "CPUQuotaPerSecUSec")) === "infinity",
      90
    )
    let log = ""
    await until(
      "the weight is left alone",
      async () => {
        log = (await root.run("journalctl", "--no-pager", "-t", "nodepulse-hands")).stdout
        return log.includes("left alone") && log.includes("reverted order=")
      },
      60
    )
    expect(await show("burner-weight.service", "CPUWeight")).toBe("77")
    await act({ unit: "burner-quota.service" }, "quota", { percent: 20, minutes: 60 })
    expect(await show("burner-quota.service", "CPUQuotaPerSecUSec")).toBe("200ms")
    // As the package does it when it is removed.
    expect(await root.shell("/usr/lib/nodepulse-hands/revert --all")).toContain("reverted order=")
    expect(await show("burner-quota.service", "CPUQuotaPerSecUSec")).toBe("infinity")
    expect(
      await root.shell(
        "ls /var/lib/nodepulse-hands/reverts; systemctl list-units --no-legend 'nodepulse-hands-revert@*'"
      )
    ).toBe("")
    // How much it takes without one is for the machine and its other work to say: the kernel knows of none.
    const limits = await root.shell(
      "cat $(find /sys/fs/cgroup -path '*/burner-quota.service/cpu.max' -o -path '*/burner-quota.service/cpu.cfs_quota_us')"
    )
    expect(limits.trim()).toMatch(/^(max \d+|-1)$/)
    process.stdout.write(`quota: ${(await cpuOf("burner-quota.service", 2)).toFixed(1)} % of a core after\n`)
    const own = (await root.run("journalctl", "--no-pager", "-u", "nodepulse-hands")).stdout
    for (const outcome of server.outcomes)
      expect(own).toContain(`outcome order=${outcome.order} result=${outcome.result}`)
    expect(
      readFileSync(root.path("/var/lib/nodepulse-hands/journal"), "utf8").split('"kind":"intent"').length - 1
    ).toBe(server.outcomes.filter(({ result }) => result !== "refused").length)
  })
})
