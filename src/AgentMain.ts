/**
 * The agent's own package, `nodepulse-agent <command>`. Its commands are `AgentCommands.ts`; `agent`, as its unit starts it,
 * runs without them: a command line in memory for as long as the agent runs would be 10 MiB for nothing.
 */
import { setFlagsFromString } from "node:v8"

const [command, flag, path, ...more] = process.argv.slice(2)
const isPlain =
  flag === undefined || ((flag === "--config" || flag === "-c") && path !== undefined && more.length === 0)

if (command === "agent" && isPlain && path?.startsWith("-") !== true) {
  // The same few milliseconds every 15 s: compiled for speed they take 8 MiB more, and a twentieth less CPU (bench/agent.ts).
  setFlagsFromString("--no-turbofan")
  setFlagsFromString("--no-maglev")
  const [{ runAgent }, { runProcess }] = await Promise.all([
    import("./commands/AgentRun.ts"),
    import("./commands/Process.ts")
  ])
  runProcess(runAgent(path))
} else {
  await import("./AgentCommands.ts")
}
