/** Finds a program on the PATH, or in /usr/sbin, which the PATH of a user may lack. Undefined where there is none. */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

export const onPath = (name: string): string | undefined =>
  [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
