/**
 * Which machine and which boot this is, as hashes: the ids themselves do not leave the machine.
 *
 * A machine without such ids (a container without `/etc/machine-id`, another system than Linux) is known by its name.
 */
import { readFile } from "node:fs/promises"
import { hostname } from "node:os"
import { Effect } from "effect"
import { hashOf } from "../src/protocol/AgentHello.ts"

export interface Machine {
  readonly machine: string
  readonly boot: string
}

export const readMachine: Effect.Effect<Machine> = Effect.promise(async () => {
  const id = (await firstOf("/etc/machine-id", "/var/lib/dbus/machine-id")) ?? `host ${hostname()}`
  const boot = (await firstOf("/proc/sys/kernel/random/boot_id")) ?? `of ${id}`
  return { machine: hashOf("machine", id), boot: hashOf("boot", boot) }
})

const firstOf = async (...paths: ReadonlyArray<string>): Promise<string | undefined> => {
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => "")
    if (text.trim() !== "") return text.trim()
  }
  return undefined
}
