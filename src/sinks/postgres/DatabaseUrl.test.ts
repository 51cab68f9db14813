import { describe, expect, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import { parseDatabaseUrl } from "./DatabaseUrl.ts"

const read = (text: string) => Result.getOrThrow(parseDatabaseUrl(text))
const refused = (text: string) =>
  Result.match(parseDatabaseUrl(text), { onSuccess: () => "accepted", onFailure: (e) => e.reason })

describe("what DATABASE_URL says", () => {
  it("is the same in both forms, with every part that is escaped", () => {
    const url = read(
      "postgresql://us%40er:p%2Fw%25@db.example:5433/my%20db?sslmode=verify-full&sslrootcert=/etc/ca.crt"
    )
    const keywords = read(
      "host=db.example port=5433 user='us@er' password='p/w%' dbname = 'my db' sslmode=verify-full sslrootcert=/etc/ca.crt"
    )
    for (const target of [url, keywords]) {
      expect(target).toMatchObject({
        hosts: [{ host: "db.example", port: 5433 }],
        user: "us@er",
        database: "my db",
        sslMode: "verify-full",
        sslRootCert: "/etc/ca.crt",
        writable: false
      })
      expect(Redacted.value(target.password!)).toBe("p/w%")
      expect(target.shown).toBe("db.example:5433/my db")
    }
    expect(Redacted.value(read(String.raw`password='it\'s' host=x`).password!)).toBe("it's")
    expect(Redacted.value(read("postgres://u:a+b:c@d@x/y").password!)).toBe("a+b:c@d")
  })

  it("may name a socket, in each way that people write it", () => {
    const socket = [{ host: "/run/postgresql", port: 5432 }]
    for (const text of [
      "postgres:///nodepulse?host=/run/postgresql",
      "postgres://%2Frun%2Fpostgresql/nodepulse",
      "postgres://me@%2Frun%2Fpostgresql/nodepulse",
      "host=/run/postgresql dbname=nodepulse"
    ]) {
      expect(read(text)).toMatchObject({ hosts: socket, database: "nodepulse" })
    }
    const nowhere = read("postgres:///nodepulse").hosts.map(({ host }) => host)
    expect(nowhere).toEqual(["/var/run/postgresql", "localhost"])
  })

  it("may name several servers, and then means the one that takes writes", () => {
    const several = read("postgres://u@a,b:5433,[::1]/x")
    expect(several.hosts).toEqual([
      { host: "a", port: 5432 },
      { host: "b", port: 5433 },
      { host: "::1", port: 5432 }
    ])
    expect(several.writable).toBe(true)
    expect(read("host=a,b port=6000 dbname=x").hosts.map(({ port }) => port)).toEqual([6000, 6000])
    expect(read("postgres://a,b/x?target_session_attrs=any").writable).toBe(false)
    expect(read("postgres://a/x?target_session_attrs=read-write").writable).toBe(true)
    expect(read("host=db.example hostaddr=10.0.0.7").hosts).toEqual([
      { host: "db.example", address: "10.0.0.7", port: 5432 }
    ])
  })

  it("encrypts where the server can, unless it says otherwise", () => {
    expect(read("postgres://a/x").sslMode).toBe("prefer")
    expect(read("postgres://a/x?ssl=true").sslMode).toBe("require")
    expect(read("postgres://a/x?sslrootcert=system").sslMode).toBe("verify-full")
    for (const mode of ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]) {
      expect(read(`postgres://a/x?sslmode=${mode}`).sslMode).toBe(mode)
    }
  })

  it("what cannot be used is refused by name, not passed over", () => {
    expect(refused("postgres://a/x?sslmode=on")).toBe(
      "sslmode=on is not one of disable, allow, prefer, require, verify-ca, verify-full"
    )
    expect(refused("host=a sslmode=verify_full")).toContain("sslmode=verify_full is not one of")
    expect(refused("postgres://a/x?sslcrl=/x")).toBe("sslcrl is not supported by NodePulse")
    expect(refused("postgres://a/x?channel_binding=require")).toContain("channel_binding=require is not one of")
    expect(refused("postgres://a/x?client_encoding=latin1")).toContain("client_encoding=latin1")
    expect(refused("postgres://a/x?schema=public")).toBe('there is no parameter "schema"')
    expect(refused("postgres://a/x?target_session_attrs=standby")).toContain("takes no writes")
    expect(refused("postgres://a:99999/x")).toBe("port 99999 is not a number from 1 to 65535")
    expect(refused("postgres://a:1,b:2:3/x")).toContain("port")
    expect(refused("host=a,b port=1,2,3")).toBe("3 ports for 2 hosts")
    expect(refused("mysql://a/x")).toBe("mysql:// is not PostgreSQL's")
    expect(refused("localhost")).toBe("it is neither an address nor a list of keywords")
    expect(refused("host=a dbname='x")).toContain("after host")
    expect(refused("postgres://a/x?connect_timeout=soon")).toContain("connect_timeout=soon")
  })

  it("no error shows a password, however the address is broken", () => {
    for (const text of [
      "postgres://u:hunter2/x@host/db",
      "postgres://u:hunter2#x@host/db",
      "postgres://u:hunter2?x@host/db",
      "postgres://u:hunter2%zz@host/db",
      "postgres://u:hunter2",
      "u:hunter2@host",
      "mysql://u:hunter2@host/db",
      "host=a password=hunter2 'x",
      "password='hunter2"
    ]) {
      const result = parseDatabaseUrl(text)
      expect(Result.isFailure(result), text).toBe(true)
      expect(Result.isFailure(result) ? result.failure.message : "", text).not.toContain("hunter2")
    }
    const target = read("postgres://u:hunter2@host/db")
    expect(JSON.stringify(target)).not.toContain("hunter2")
  })
})
