/** What containers, users and processes are called, from files of a made-up machine. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { type CgroupMachine, later, machine } from "./CgroupMachine.fixture.ts"
import { makeUnitOfProcess } from "./ProcessUnits.ts"
import { makeUnitNames } from "./UnitNames.ts"

const ID = "0123456789abcdef".repeat(4)
const named = (host: CgroupMachine) =>
  Effect.map(Clock.Clock, (clock) =>
    makeUnitNames({ disk: host.disk, proc: host.proc, folder: "sys/fs/cgroup" }, clock)
  )

describe("a container's name", () => {
  const cri = (type: string) => ({
    annotations: {
      "io.kubernetes.cri.container-type": type,
      "io.kubernetes.cri.container-name": "nginx",
      "io.kubernetes.cri.sandbox-name": "web-7d9f8b6c5d-x2k4j",
      "io.kubernetes.cri.sandbox-namespace": "shop"
    }
  })
  const cases: ReadonlyArray<readonly [string, string, unknown, string | undefined]> = [
    ["Docker", `var/lib/docker/containers/${ID}/config.v2.json`, { ID, Name: "/web" }, "web"],
    [
      "Docker below a kubelet",
      `var/lib/docker/containers/${ID}/config.v2.json`,
      { Name: "/k8s_nginx_web-0_shop_uid_0" },
      "shop/web-0/nginx"
    ],
    [
      "Podman",
      "var/lib/containers/storage/overlay-containers/containers.json",
      [{ id: ID, names: ["shop-db"] }],
      "shop-db"
    ],
    [
      "containerd below a kubelet",
      `run/containerd/io.containerd.runtime.v2.task/k8s.io/${ID}/config.json`,
      cri("container"),
      "shop/web-#/nginx"
    ],
    [
      "a pod's own container",
      `run/containerd/io.containerd.runtime.v2.task/k8s.io/${ID}/config.json`,
      cri("sandbox"),
      "(pods)"
    ],
    [
      "nerdctl",
      `run/containerd/io.containerd.runtime.v2.task/default/${ID}/config.json`,
      { annotations: { "nerdctl/name": "web" } },
      "web"
    ],
    [
      "CRI-O",
      `run/containers/storage/overlay-containers/${ID}/userdata/config.json`,
      {
        annotations: {
          "io.kubernetes.container.name": "a",
          "io.kubernetes.pod.name": "b",
          "io.kubernetes.pod.namespace": "c"
        }
      },
      "c/b/a"
    ],
    ["a file of another shape", `var/lib/docker/containers/${ID}/config.v2.json`, { Name: ["web"] }, undefined],
    [
      "a list of another shape",
      "var/lib/containers/storage/overlay-containers/containers.json",
      [null, { id: ID, names: [7] }],
      undefined
    ]
  ]
  for (const [what, path, content, expected] of cases) {
    it.effect(`is read from the state of ${what}`, () =>
      Effect.gen(function* () {
        const host = yield* machine("v2")
        host.write(path, JSON.stringify(content))
        assert.strictEqual((yield* named(host)).container?.(ID), expected)
      })
    )
  }

  it.effect("is unknown where a file is broken, and where an id is none, so that no path leads elsewhere", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.write(`var/lib/docker/containers/${ID}/config.v2.json`, "{")
      host.write("var/lib/docker/containers/config.v2.json", `{"Name":"/stolen"}`)
      const names = yield* named(host)
      for (const id of [ID, "..", ".", `${ID}/../..`, ""]) assert.isUndefined(names.container?.(id), id)
    })
  )

  it.effect("of Podman is its monitor's, which all may read, where its state is root's", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.put(`/machine.slice/libpod-conmon-${ID}.scope`, "cgroup.procs", "77\n")
      host.write("proc/77/cmdline", ["/usr/bin/conmon", "-c", ID, "-u", ID, "-n", "shop-db", ""].join("\0"))
      assert.strictEqual((yield* named(host)).container?.(ID), "shop-db")
    })
  )

  it.effect("that is not there yet is looked for again, and one that was found is kept", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const names = yield* named(host)
      assert.isUndefined(names.container?.(ID))
      const write = (name: string) =>
        host.write(`var/lib/docker/containers/${ID}/config.v2.json`, JSON.stringify({ Name: name }))
      write("/web")
      assert.isUndefined(names.container?.(ID))
      yield* later(61)
      assert.strictEqual(names.container?.(ID), "web")
      write("/other")
      yield* later(61)
      assert.strictEqual(names.container?.(ID), "web")
    })
  )

  it.effect("of a user is that of passwd", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n:x:5:5::\nalice:x:1000:1000::/home/alice:/bin/sh\nbroken\n"
      )
      const names = yield* named(host)
      assert.deepStrictEqual(
        [names.user?.(0), names.user?.(1000), names.user?.(5), names.user?.(7)],
        ["root", "alice", undefined, undefined]
      )
    })
  )
})

describe("a process's unit", () => {
  it.effect("is that of its cgroup, by the name of the unit's row", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly ["v2" | "v1" | "hybrid", string, string]> = [
        ["v2", "0::/system.slice/nginx.service\n", "nginx.service"],
        ["v2", "0::/system.slice/nginx.service/workers (deleted)\n", "nginx.service"],
        ["v2", "0::/user.slice/user-1000.slice/session-1.scope\n", "user alice"],
        ["v2", "0::/\n", "(kernel)"],
        ["v2", "0::/../../elsewhere\n", ""],
        ["v2", "", ""],
        ["v2", "0::/a:b\n", "a:b"],
        ["v1", "5:memory:/x\n4:cpu,cpuacct:/system.slice/ssh.service\n0::/other\n", "ssh.service"],
        ["hybrid", "4:cpu,cpuacct:/\n1:name=systemd:/\n0::/system.slice/ssh.service\n", "ssh.service"]
      ]
      for (const [kind, cgroups, expected] of cases) {
        const host = yield* machine(kind)
        host.write("etc/passwd", "alice:x:1000:1000::/home/alice:/bin/sh\n")
        host.write("proc/7/cgroup", cgroups)
        const unitOf = makeUnitOfProcess(host.proc, host.disk, yield* Clock.Clock)
        assert.strictEqual(unitOf?.(7), expected, cgroups)
        assert.strictEqual(unitOf?.(8), "", "gone")
      }
    })
  )

  it.effect("is not told where there are no units", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.write("proc/self/mountinfo", "")
      assert.isUndefined(makeUnitOfProcess(host.proc, host.disk, yield* Clock.Clock))
    })
  )
})
