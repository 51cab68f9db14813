/** When a file that is read again and again is another one than before. */
import type { Stats } from "node:fs"

/** Another one for each version of a file, also where all of them say the same time and size, as those of images and archives do. */
export const stampOf = ({ ctimeMs, ino, mtimeMs, size }: Stats): string => `${ino} ${mtimeMs} ${ctimeMs} ${size}`
