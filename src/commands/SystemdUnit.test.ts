import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { environmentOf, flagOf, readUnit, type Unit, UnitFolders } from "./SystemdUnit.ts"

/** The unit x of the files, below folders `etc` and `lib`; DIR in them stands for their folder. */
const unitOf = (files: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-units-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      if (text === "/dev/null") symlinkSync(text, path)
      else writeFileSync(path, text.replaceAll("DIR", folder))
    }
    return yield* Effect.provideService(readUnit("x.service"), UnitFolders, [join(folder, "etc"), join(folder, "lib")])
  }).pipe(
    Effect.scoped,
    Effect.map((unit): Unit => {
      assert.isDefined(unit)
      return unit!
    })
  )

describe("a unit", () => {
  it.effect("is read with its drop-ins, as systemd reads them", () =>
    Effect.gen(function* () {
      const unit = yield* unitOf({
        "lib/x.service": `[Unit]\nUser=nobody\n[Service]\n# a comment\nUser=first\nGroup=them\nEnvironment=A=1 "B=two words" 'C=3'\nEnvironment=D=%S/x\nExecStart=/old\n`,
        "lib/x.service.d/10-lib.conf":
          "[Service]\nUser=second\nExecStart=\nExecStart=-/usr/bin/new run \\\n  --config /etc/x.yml\n",
        "lib/x.service.d/20-same.conf": "[Service]\nUser=overridden\n",
        "etc/x.service.d/20-same.conf": "[Service]\nEnvironmentFile=DIR/env\nEnvironmentFile=-DIR/gone\n",
        env: '; comment\nA="from file"\nexport B=3\nE=\n'
      })
      assert.deepStrictEqual([unit.user, unit.group], ["second", "them"])
      assert.deepStrictEqual(unit.environment, { A: "from file", B: "two words", C: "3", D: "/var/lib/x", E: "" })
      assert.deepStrictEqual(unit.command, ["/usr/bin/new", "run", "--config", "/etc/x.yml"])
      assert.strictEqual(flagOf(unit, "--config", "-c"), "/etc/x.yml")
      assert.lengthOf(unit.problems, 1)
      assert.match(unit.problems[0]!, /env, line 3, is no NAME=value/)
    })
  )

  it.effect("of the administrator hides the one of the package, and one that is linked to nothing is masked", () =>
    Effect.gen(function* () {
      const both = { "lib/x.service": "[Service]\nUser=package\n" }
      assert.strictEqual((yield* unitOf({ ...both, "etc/x.service": "[Service]\nUser=admin\n" })).user, "admin")
      assert.isTrue((yield* unitOf({ ...both, "etc/x.service": "/dev/null" })).isMasked)
      assert.isFalse((yield* unitOf(both)).isMasked)
    })
  )

  it.effect("without a user of its own, or with one that is made up at each start, has none", () =>
    Effect.gen(function* () {
      assert.isUndefined((yield* unitOf({ "lib/x.service": "[Service]\n" })).user)
      assert.isUndefined((yield* unitOf({ "lib/x.service": "[Service]\nDynamicUser=yes\nUser=x\n" })).user)
    })
  )

  it.effect("may write to the folders that it names, and to no other where its file system is read-only", () =>
    Effect.gen(function* () {
      const strict = "ProtectSystem=strict\nStateDirectory=a b\nReadWritePaths=-/srv/x\nProtectHome=yes\n"
      const unit = yield* unitOf({ "lib/x.service": `[Service]\n${strict}` })
      assert.includeMembers([...unit.writable!], ["/var/lib/a", "/var/lib/b", "/srv/x"])
      assert.include(unit.hidden, "/home")
      assert.isUndefined((yield* unitOf({ "lib/x.service": "[Service]\n" })).writable)
    })
  )

  it.effect("has the last word on its environment, but for what a person set in this shell", () =>
    Effect.gen(function* () {
      const unit = yield* unitOf({
        "lib/x.service": "[Service]\nEnvironmentFile=DIR/env\n",
        "etc/x.service.d/a.conf": "[Service]\nEnvironment=DATA=/unit\nEnvironmentFile=DIR/later\n",
        env: "URL=one\n",
        later: "PORT=2\n"
      })
      const shell = { URL: "one", DATA: undefined, PORT: "3", HOME: "/root" }
      assert.deepStrictEqual(environmentOf(unit, shell), { URL: "one", DATA: "/unit", PORT: "3", HOME: "/root" })
    })
  )
})
