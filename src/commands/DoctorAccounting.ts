/**
 * What doctor says of the kernel's process accounting, where the agent is to read it: it lets a process end, and looks whether the
 * file says so. It changes nothing, but for that record.
 */
import { spawnSync } from "node:child_process"
import { AccountingFile } from "../../agent/collector/accounting/AccountingFile.ts"
import { type Finding, fine, wrong } from "./Diagnosis.ts"

const CHECK = "accounting"

/** Of the file that the configuration names. */
export const checkAccounting = (
  path: string,
  end: () => void = () => void spawnSync(process.execPath, ["--version"])
): Finding => {
  const file = new AccountingFile(path)
  try {
    const { problem } = file.read()
    if (problem !== undefined) return wrong(CHECK, `${path} ${problem}`, "see docs/short-lived.md")
    // Its record is written before its parent hears of its end.
    end()
    const after = file.read()
    if (after.problem !== undefined) return wrong(CHECK, `${path} ${after.problem}`, "see docs/short-lived.md")
    if (after.records.length > 0) return fine(CHECK, `${path} records the processes that end`)
    const cure = `systemctl restart acct, or: accton ${path}; the kernel also pauses where its disk is almost full`
    return wrong(CHECK, `${path} does not grow: accounting is off`, cure)
  } finally {
    file.close()
  }
}
