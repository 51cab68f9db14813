/**
 * How users are called: `/etc/passwd`, read when the first is asked for, and anew for one that it did not have, where it was
 * changed since. A user without a name is its number, as in process_exporter. Users of a directory (LDAP) are not looked
 * up. Bound: {@link PASSWD_BYTES}.
 */
import * as Fs from "node:fs"
import type { UserName } from "./ConfiguredNames.ts"

const PASSWD_BYTES = 4 * 1024 * 1024

/** The users of a file such as `/etc/passwd`. */
export const userNames = (path: string): UserName => {
  let users: ReadonlyMap<number, string> = new Map()
  let version = ""
  return (uid) => {
    if (!users.has(uid)) {
      const there = versionOf(path)
      if (there !== version) users = usersOf(there === "" ? "" : readText(path))
      version = there
    }
    return users.get(uid) ?? String(uid)
  }
}

/** Changes whenever the file does; "" where there is none that may be read, or it is too large. */
const versionOf = (path: string): string => {
  try {
    const { ino, mtimeMs, size } = Fs.statSync(path)
    return size > PASSWD_BYTES ? "" : `${ino} ${mtimeMs} ${size}`
  } catch {
    return ""
  }
}

/** The first that has a number has its name. */
const usersOf = (passwd: string): ReadonlyMap<number, string> => {
  const users = new Map<number, string>()
  for (const line of passwd.split("\n")) {
    const [name, , uid] = line.split(":")
    if (name === undefined || name === "" || uid === undefined || !/^\d{1,10}$/.test(uid)) continue
    if (!users.has(Number(uid))) users.set(Number(uid), name)
  }
  return users
}

const readText = (path: string): string => {
  try {
    return Fs.readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
