/** What the agent of a machine of that name says of itself with its first push, if nothing is wrong with it. */
import { type AgentHello, hashOf } from "./AgentHello.ts"

export const helloOf = (machine: string, changes: Partial<AgentHello> = {}): AgentHello => ({
  name: machine,
  machine: hashOf("machine", machine),
  boot: hashOf("boot", machine),
  start: hashOf("start", machine),
  after: [],
  sequence: 1,
  intervalSeconds: 15,
  sent: undefined,
  step: undefined,
  corrected: undefined,
  ...changes
})
