/**
 * The rights on units that a host's file needs, for whoever grants them: polkit, where the machine has it, else sudo. Pure.
 *
 * Guarantee: what is printed allows the verbs of the file on the units of the file, to one user, and the start of the unit that takes
 * back what was set. `set-property` cannot be narrowed to some properties by either; of this, the program itself is the guard.
 */
import { REVERTED_VERBS } from "../../src/protocol/OrderText.ts"
import type { HandsFile } from "./HandsFile.ts"
import { RESTRAINTS } from "./HostUnits.ts"
import { expressionOf } from "./NamePattern.ts"

interface Rights {
  readonly restart: ReadonlyArray<string>
  readonly setProperty: ReadonlyArray<string>
}

const isReverted = (verb: string): boolean => REVERTED_VERBS.some((one) => one === verb)

const rightsOf = ({ rules }: HandsFile): Rights => {
  const unitsOf = (has: (verb: string) => boolean) => [
    ...new Set(rules.filter(({ verbs }) => verbs.some(has)).flatMap(({ units }) => units.map(expressionOf)))
  ]
  return { restart: unitsOf((verb) => verb === "restart"), setProperty: unitsOf(isReverted) }
}

const REVERT = "^nodepulse-hands-revert@[0-9a-f]{32}\\.service$"

/** For `/etc/polkit-1/rules.d/50-nodepulse-hands.rules`. */
export const polkitRules = (file: HandsFile, user: string): string => {
  const { restart, setProperty } = rightsOf(file)
  const list = (expressions: ReadonlyArray<string>) => `[${expressions.map((one) => JSON.stringify(one)).join(", ")}]`
  return `// What nodepulse-hands may do to units: made from ${file.path} by nodepulse hands --rules polkit. Make it again after each change of that file.
// Put it into /etc/polkit-1/rules.d/50-nodepulse-hands.rules, owned by root and writable by nobody else.
polkit.addRule(function (action, subject) {
  if (action.id != "org.freedesktop.systemd1.manage-units" || subject.user != ${JSON.stringify(user)}) return undefined;
  var may = {
    "restart": ${list(restart)},
    "set-property": ${list(setProperty)},
    "start": ${list(setProperty.length === 0 ? [] : [REVERT])}
  };
  var patterns = may[action.lookup("verb")] || [];
  var unit = action.lookup("unit") || "";
  for (var i = 0; i < patterns.length; i++) {
    if (new RegExp(patterns[i]).test(unit)) return polkit.Result.YES;
  }
  return polkit.Result.NO;
});`
}

/** With User= and one of these settings, systemd forbids a process to become anybody else. */
const SUDO_DROP_IN = [
  "[Service]",
  "NoNewPrivileges=no",
  "SystemCallFilter=",
  "SystemCallArchitectures=",
  "RestrictAddressFamilies=",
  "RestrictNamespaces=no",
  "RestrictRealtime=no",
  "RestrictSUIDSGID=no",
  "LockPersonality=no",
  "MemoryDenyWriteExecute=no",
  "PrivateDevices=no",
  "ProtectClock=no",
  "ProtectHostname=no",
  "ProtectKernelLogs=no",
  "ProtectKernelModules=no",
  "ProtectKernelTunables=no",
  "CapabilityBoundingSet=CAP_KILL CAP_SYS_NICE CAP_SETUID CAP_SETGID CAP_AUDIT_WRITE CAP_DAC_READ_SEARCH CAP_SYS_RESOURCE"
]

/** For `/etc/sudoers.d/nodepulse-hands`, where there is no polkit. sudo 1.9.10 or newer, for its regular expressions. */
export const sudoRules = (file: HandsFile, user: string): string => {
  const { restart, setProperty } = rightsOf(file)
  const inner = (expression: string) => expression.slice(1, -1)
  const properties = Object.values(RESTRAINTS).map((name) => (name === "CPUQuotaPerSecUSec" ? "CPUQuota" : name))
  const lines = [
    ...restart.map((one) => `^restart ${inner(one)}$`),
    ...setProperty.map((one) => `^set-property --runtime ${inner(one)} (${properties.join("|")})=[0-9.a-z%]*$`),
    ...(setProperty.length === 0 ? [] : [`^start ${inner(REVERT)}$`])
  ]
  return `# What nodepulse-hands may do to units: made from ${file.path} by nodepulse hands --rules sudo. Make it again after each change of that file.
# Look at it with visudo -cf, put it into /etc/sudoers.d/nodepulse-hands (mode 0440), and write systemctl: "sudo" into ${file.path}.
# sudo becomes root, which the units forbid, each of these by itself: write a drop-in for both
# (systemctl edit nodepulse-hands nodepulse-hands-revert@), which leaves little of what holds this program in.
${SUDO_DROP_IN.map((line) => `#   ${line}`).join("\n")}
# With polkit none of this is needed: apt-get install polkitd.
${lines.map((line) => `${user} ALL=(root) NOPASSWD: /usr/bin/systemctl ${line}`).join("\n")}`
}
