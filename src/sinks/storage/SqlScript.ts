/**
 * A file of several SQL statements, as its statements: PostgreSQL's extended protocol takes one at a time.
 *
 * It knows strings, quoted names, dollar quotes and comments, and nothing else of SQL. It does not know `E'\''` strings.
 */

const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|;/g

/** The statements, without their semicolons; those that hold nothing but comments are left out. */
export const statements = (script: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let start = 0
  const take = (end: number) => {
    const statement = script.slice(start, end)
    if (statement.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, "").trim() !== "") found.push(statement.trim())
  }
  for (const token of script.matchAll(TOKEN)) {
    if (token[0] !== ";") continue
    take(token.index)
    start = token.index + 1
  }
  take(script.length)
  return found
}
