import { describe, expect, it } from "vitest"
import { statements } from "./SqlScript.ts"

describe("a script becomes its statements", () => {
  it("one per semicolon, without empty ones", () => {
    expect(statements("select 1;\n\n select 2 ;; -- nothing\n;select 3")).toEqual(["select 1", "select 2", "select 3"])
    expect(statements("")).toEqual([])
    expect(statements("-- only a comment")).toEqual([])
  })

  it("semicolons in strings, names, comments and dollar quotes are none", () => {
    const parts = [
      "select 'a;b''c;d'",
      'select "x;y""z" from t',
      "-- one; two\nselect 1",
      "/* one; */ select 2",
      "do $do$ begin perform 1; perform $x$;$x$; end $do$",
      "select $$;$$"
    ]
    expect(statements(parts.join(";\n"))).toEqual(parts)
  })
})
