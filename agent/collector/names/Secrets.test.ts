import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { compileNames } from "./ConfiguredNames.ts"
import type { NamedProcess } from "./ProcessNames.ts"
import { withoutSecrets } from "./Secrets.ts"

const hidden = (name: string, line = name) => withoutSecrets(name, line.split(" "))

const processOf = (cmdline: ReadonlyArray<string>, cgroups: ReadonlyArray<string> = []): NamedProcess => ({
  pid: 1,
  comm: "x",
  exe: undefined,
  cmdline,
  uid: 0,
  startedAt: 0,
  cgroups,
  unit: ""
})

const namesOf = (entry: unknown) => Result.getOrThrow(compileNames([entry], String, String)).names

// Put together here, so that no scanner takes them for real ones.
const AWS_ID = `AKIA${"IOSFODNN7EXAMPLE"}`
const AWS_KEY = `wJalrXUtnFEMI/K7MDENG/${"bPxRfiCYEXAMPLEKEY"}`
const GITHUB = `ghp_${"16C7e42F292c6912E7710c838347Ae178B4a"}`
const JWT = `eyJhbGciOiJIUzI1NiJ9.${"eyJzdWIiOiIxMjM0NSJ9"}.SflKxwRJSMeKKF2QT4fwpM`

describe("a name holds no secret", () => {
  it("that an option or a variable calls one", () => {
    for (const line of [
      "app --password hunter2x",
      "app --password=hunter2x",
      "app --db-password hunter2x",
      "app -Dspring.datasource.password=hunter2x",
      "app --api-key hunter2x",
      "app --apiKey hunter2x",
      "app --token=hunter2x",
      "env GITHUB_TOKEN=hunter2x app",
      "app PGPASSWORD=hunter2x",
      "app --client_secret hunter2x",
      "app --auth hunter2x",
      "app postgres://shop:hunter2x@db/shop",
      "app --url=https://hunter2x@host/",
      "mysql -u shop -phunter2x",
      "sshpass -p hunter2x ssh",
      "redis-cli -a hunter2x",
      "curl -u shop:hunter2x https://host",
      "app Authorization: Bearer hunter2x"
    ]) {
      assert.notInclude(hidden(line), "hunter2x", line)
      assert.include(hidden(line), "***", line)
    }
  })

  it("also where only its value is in the name", () => {
    const names = namesOf({ name: "app {{.Matches.x}}", cmdline: ["--password[ =](?P<x>\\S+)"] })
    assert.strictEqual(names.nameOf(processOf(["app", "--password", "hunter2x"])), "app ***")
    assert.strictEqual(names.nameOf(processOf(["app", "--password=hunter2x"])), "app ***")
    const parts = namesOf({ name: "{{.Matches.k}} is {{.Matches.v}}", cmdline: ["(?P<k>\\w+)=(?P<v>\\w+)"] })
    assert.strictEqual(parts.nameOf(processOf(["app", "token=hunter2x"])), "token is ***")
  })

  it("but no word that only looks like a value", () => {
    assert.strictEqual(withoutSecrets("docker-proxy for docker", ["x", "--auth", "docker"]), "docker-proxy for ***")
  })

  it("that looks like one", () => {
    for (const secret of [
      AWS_ID,
      AWS_KEY,
      GITHUB,
      JWT,
      "5f8a1c0e2b7d4936a1b2c3d4e5f60718",
      "aB3dE5fG7hI9jK1lM3nO5pQ7rS9",
      `sk-ant-${"a1B2c3D4e5F6g7H8i9"}`,
      `xoxb-${"123456789012-abcdefghij"}`
    ]) {
      assert.strictEqual(hidden(`job ${secret} x`), "job *** x", secret)
      assert.notInclude(hidden(`job:${secret}`), secret)
    }
  })

  it("and what is none stays as it is", () => {
    for (const name of [
      "java org.apache.hadoop.hdfs.server.namenode.NameNode",
      "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
      "/opt/Company/Applications/Version2/bin/Server",
      "prometheus:/etc/prometheus/prometheus.yml",
      "tokenizer-service",
      "passenger-agent",
      "pass",
      "python3 password_reset.py",
      "MyVeryLongApplicationServerLauncher",
      "secretary --daemon",
      "map[:x port:8080]",
      "{{.PID}}",
      "authelia",
      "auth:worker",
      "auth service",
      "token server",
      "app --auth=basic",
      "app --session-id none"
    ]) {
      assert.strictEqual(hidden(name), name)
    }
  })

  it("and a container's identifier in a control group is none", () => {
    const id = "5f8a1c0e2b7d4936a1b2c3d4e5f60718293a4b5c6d7e8f901234567890abcdef"
    const path = `/system.slice/docker-${id}.scope`
    const names = namesOf({ name: "{{.Cgroups}}", cmdline: [] })
    assert.strictEqual(names.nameOf(processOf([], [path])), `[${path}]`)
    assert.strictEqual(namesOf({ name: "{{.ExeFull}}", cmdline: [] }).nameOf(processOf([id], [path])), id)
    assert.strictEqual(namesOf({ name: "{{.ExeFull}}", cmdline: [] }).nameOf(processOf([id])), "***")
  })

  it.prop("whatever stands around it", { before: Schema.String, after: Schema.String }, ({ after, before }) => {
    assert.notInclude(withoutSecrets(`${before} ${AWS_ID} ${after}`, []), AWS_ID)
    const name = `${before}hunter2x${after}`
    assert.notInclude(withoutSecrets(name, ["app", "--password", "hunter2x"]), "hunter2x")
  })

  it("and takes no longer for texts that are made to take long", () => {
    for (const text of [
      "pass".repeat(5_000),
      "a=".repeat(10_000),
      "://".repeat(5_000),
      "eyJ".repeat(5_000),
      "-".repeat(20_000),
      `${"a-".repeat(10_000)}token`
    ]) {
      withoutSecrets(text, [text, text])
    }
  })
})
