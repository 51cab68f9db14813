/**
 * The program that acts, for one order, ended by SIGKILL at a named moment: `node HandsKilled.fixture.ts FOLDER POINT`. FOLDER has
 * the file of the owner, an order and the state; POINT is one of the crash points, or `none`. systemd is played, and what it is asked to change is
 * written to `calls`.
 */
import { appendFileSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer, Result } from "effect"
import { namesByComm } from "../collector/names/ProcessNames.ts"
import { CrashPoint } from "./CrashPoint.ts"
import { FakeSystemd } from "./FakeSystemd.fixture.ts"
import { readHandsFile } from "./HandsFile.ts"
import { makeHandsHost } from "./HandsHost.ts"
import { handle, recover } from "./HandsOrders.ts"

const [folder = "", point = "none"] = process.argv.slice(2)

class Written extends Array<string> {
  override push(...calls: ReadonlyArray<string>): number {
    for (const call of calls) appendFileSync(join(folder, "calls"), `${call}\n`)
    return super.push(...calls)
  }
}

const systemd = new FakeSystemd(new Written())
systemd.add("stress.service", { invocation: "0123456789abcdef0123456789abcdef" })
const crash = Layer.succeed(CrashPoint, (name) => {
  if (name === point) process.kill(process.pid, "SIGKILL")
})

const program = Effect.gen(function* () {
  const file = Result.getOrThrow(readHandsFile(join(folder, "hands.yml")))
  const host = yield* makeHandsHost(join(folder, "state"), namesByComm)
  yield* recover(host, file)
  yield* handle(host, file, JSON.parse(readFileSync(join(folder, "order.json"), "utf8")))
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Layer.merge(systemd.layer, crash))))
