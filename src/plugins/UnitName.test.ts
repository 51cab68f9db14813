import { describe, expect, it } from "@effect/vitest"
import { DEPTH_MAX, type KnownNames, podContainerName, unitOf } from "./UnitName.ts"

const ID = "0123456789abcdef".repeat(4)
const SHORT = ID.slice(0, 12)
const POD = "pod2f1c8a9e-1111-2222-3333-444455556666"
const shown = (path: string, names?: KnownNames) => {
  const { slice, unit } = unitOf(path, names)
  return slice === "" ? unit : `${unit} in ${slice}`
}

describe("the unit of a cgroup", () => {
  it.each([
    ["/", "(kernel)"],
    ["", "(kernel)"],
    ["/init.scope", "init.scope"],
    ["/system.slice", "system.slice"],
    ["/system.slice/nginx.service", "nginx.service in system.slice"],
    ["/system.slice/nginx.service/workers/1", "nginx.service in system.slice"],
    ["/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service in system-getty.slice"],
    [
      "/system.slice/system-postgresql.slice/postgresql@15-main.service",
      "postgresql@15-main.service in system-postgresql.slice"
    ],
    [
      "/system.slice/systemd-fsck@dev-disk-by\\x2dlabel-root.service",
      "systemd-fsck@dev-disk-by\\x2dlabel-root.service in system.slice"
    ],
    ["/user.slice", "user.slice"],
    ["/user.slice/user-1000.slice", "user 1000 in user.slice"],
    ["/user.slice/user-1000.slice/session-3.scope", "user 1000 in user.slice"],
    ["/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-1234.scope", "user 1000 in user.slice"],
    ["/machine.slice/machine-web\\x2d1.scope", "web-1 in machine.slice"],
    ["/machine.slice/machine-qemu\\x2d12\\x2ddebian.scope/libvirt/emulator", "debian in machine.slice"],
    ["/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", "web in machine.slice"],
    ["/lxc/web/system.slice/nginx.service", "web in lxc"],
    ["/lxc.payload.web/init.scope", "web"],
    ["/docker", "docker"],
    ["/process_api/9e5c076ed7532c0533c884c2226a20e3", "process_api/# in process_api"]
  ])("of %s is %s", (path, expected) => expect(shown(path)).toBe(expected))

  it.each([
    [`/system.slice/docker-${ID}.scope`, "system.slice"],
    [`/docker/${ID}`, "docker"],
    [`/docker/${ID}/kubepods/burstable/${POD}/${ID}`, "docker"],
    [`/machine.slice/libpod-${ID}.scope`, "machine.slice"],
    [`/machine.slice/libpod-${ID}.scope/container`, "machine.slice"],
    [`/libpod_parent/libpod-${ID}`, "libpod_parent"],
    [`/kubepods/burstable/${POD}/${ID}`, "kubepods"],
    [
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${POD.replaceAll("-", "_")}.slice/cri-containerd-${ID}.scope`,
      "kubepods"
    ],
    [`/kubepods.slice/kubepods-${POD.replaceAll("-", "_")}.slice/crio-${ID}.scope`, "kubepods"]
  ])("of a container's %s is its name, else its short id", (path, slice) => {
    expect(shown(path)).toBe(`${SHORT} in ${slice}`)
    expect(shown(path, { container: (id) => (id === ID ? "web" : undefined) })).toBe(`web in ${slice}`)
  })

  it("of what a user calls a container begins with the user's, so that it is never another's", () => {
    const own = "/user.slice/user-1000.slice/user@1000.service/app.slice"
    const names = { container: () => "shop-db", user: () => "alice" }
    expect(shown(`${own}/libpod-${ID}.scope`, names)).toBe(`alice/${SHORT} in user.slice`)
    expect(shown(`${own}/lxc.payload.nginx.service`, names)).toBe("alice/nginx.service in user.slice")
    expect(shown(`${own}/machine-a\\x00\\x1b\\x2db.scope`, names)).toBe("alice/a\\x00\\x1b-b in user.slice")
    expect(shown(`${own}/machine-(kernel).scope`, names)).toBe("alice/(kernel) in user.slice")
  })

  it("of a pod without its containers is one for all pods, a pod's own container included", () => {
    expect(shown(`/kubepods/besteffort/${POD}`)).toBe("(pods) in kubepods")
    expect(shown(`/kubepods/besteffort/${POD}/${ID}`, { container: () => "(pods)" })).toBe("(pods) in kubepods")
    expect(shown("/kubepods/besteffort")).toBe("kubepods")
  })

  it("of a user is the user's name where it is known", () => {
    const names = { user: (uid: number) => (uid === 1000 ? "alice" : undefined) }
    expect(shown("/user.slice/user-1000.slice/session-c1.scope", names)).toBe("user alice in user.slice")
    expect(shown("/user.slice/user-1001.slice/session-c1.scope", names)).toBe("user 1001 in user.slice")
  })

  it.each([
    ["run-r0123456789abcdef0123456789abcdef.scope", "run-#.scope"],
    ["run-u1234.service", "run-#.service"],
    ["run-p123-i456.scope", "run-#.scope"],
    ["sshd@5-10.0.0.1:22-10.0.0.2:50123.service", "sshd@#.service"],
    ["systemd-coredump@12-3456-0.service", "systemd-coredump@#.service"],
    ["dbus-:1.23-org.example.Thing@0.service", "dbus-:#-org.example.Thing@0.service"],
    ["snap.code.code-2f1c8a9e-1111-2222-3333-444455556666.scope", "snap.code.code-#.scope"],
    [`libpod-conmon-${ID}.scope`, "libpod-conmon-#.scope"],
    [`var-lib-docker-overlay2-${ID}-merged.mount`, "var-lib-docker-overlay2-#-merged.mount"],
    ["backup-20240101.service", "backup-20240101.service"]
  ])("is without what is another each time: %s is %s", (segment, expected) => {
    expect(unitOf(`/system.slice/${segment}`).unit).toBe(expected)
  })

  it("of a pod's container is the same for each of its pods", () => {
    expect(podContainerName("default", "web-7d9f8b6c5d-x2k4j", "nginx")).toBe("default/web-#/nginx")
    expect(podContainerName("kube-system", "node-agent-x2k4j", "agent")).toBe("kube-system/node-agent-#/agent")
    expect(podContainerName("db", "postgres-0", "postgres")).toBe("db/postgres-0/postgres")
  })
})

describe("a hostile name", () => {
  it("is none of NodePulse's own", () => {
    expect(unitOf("/(kernel)").unit).toBe("/(kernel)")
    expect(unitOf("/system.slice/(pods).service").unit).toBe("/(pods).service")
    expect(unitOf(`/docker/${ID}`, { container: () => "(kernel)" }).unit).toBe("/(kernel)")
  })

  it("is clipped, keeps its lines, and stays well-formed", () => {
    const long = unitOf(`/system.slice/${"é💩".repeat(200)}.service`).unit
    expect(long.length).toBeLessThanOrEqual(255)
    expect(long.isWellFormed()).toBe(true)
    expect(unitOf("/system.slice/a\nb.service").unit).toBe("a\nb.service")
  })

  it("that is not UTF-8 leaves its cgroup with what is above it", () => {
    expect(shown("/system.slice/\ufffd.service")).toBe("system.slice")
  })

  it("is read to its end, however it repeats itself", () => {
    for (const hostile of [
      "@1-".repeat(85),
      "-".repeat(255),
      "a1".repeat(127),
      "\\x2d".repeat(60),
      ":1.1".repeat(60)
    ]) {
      for (let round = 0; round < 200; round++) unitOf(`/system.slice/${hostile}.service`)
      expect(unitOf(`/system.slice/${hostile}.service`).kind).toBe("service")
    }
  })

  it("is not followed deeper than the bound", () => {
    const deep = Array.from({ length: DEPTH_MAX * 4 }, (_, level) => `d${level}`)
    expect(unitOf(`/${deep.join("/")}`)).toEqual(unitOf(`/${deep.slice(0, DEPTH_MAX).join("/")}`))
  })
})
