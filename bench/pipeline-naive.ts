/**
 * What `bench/pipeline.ts` compares with, a process of its own: the same path written in the most obvious way. A bare
 * `node:http` server that unpacks and parses JSON and awaits one XADD per snapshot; a consumer that reads 10, awaits one INSERT a row in
 * one transaction, and acknowledges each. No validation, no tokens, no supervision. Arguments: port, Valkey's url, PostgreSQL's url.
 */
import { createServer } from "node:http"
import { gunzipSync } from "node:zlib"
import { Redis } from "ioredis"
import pg from "pg"

const [port, valkeyUrl, databaseUrl] = process.argv.slice(2)
const publisher = new Redis(valkeyUrl!)
const consumer = new Redis(valkeyUrl!)
const database = new pg.Client(databaseUrl!)
await database.connect()
await database.query(`create table naive_snapshots (
  server_id text, timestamp timestamptz, process_name text, num_procs integer, cpu_seconds_total double precision,
  memory_bytes bigint, created_at timestamptz default now(), primary key (server_id, timestamp, process_name))`)
await publisher.xgroup("CREATE", "naive", "digest", "0", "MKSTREAM")

createServer((request, response) => {
  if (request.method !== "POST") return void response.writeHead(405).end()
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", async () => {
    const payload = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()) as Record<string, ReadonlyArray<unknown>>
    const serverId = String(request.headers.authorization)
    for (const [exporter, snapshots] of Object.entries(payload)) {
      for (const snapshot of snapshots) {
        await publisher.xadd(
          "naive",
          "*",
          "server_id",
          serverId,
          "exporter_name",
          exporter,
          "snapshot",
          JSON.stringify(snapshot)
        )
      }
    }
    response.writeHead(202).end()
  })
}).listen(Number(port), "127.0.0.1", () => process.stdout.write("ready\n"))

while (true) {
  const streams = (await consumer.xreadgroup(
    "GROUP",
    "digest",
    "one",
    "COUNT",
    10,
    "BLOCK",
    1000,
    "STREAMS",
    "naive",
    ">"
  )) as Array<[string, Array<[string, Array<string>]>]> | null
  const entries = streams?.[0]?.[1] ?? []
  await database.query("begin")
  for (const [, fields] of entries) {
    const row = JSON.parse(fields[5]!)
    await database.query(
      "insert into naive_snapshots (server_id, timestamp, process_name, num_procs, cpu_seconds_total, memory_bytes) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
      [fields[1], row.timestamp, row.name, row.num_procs, row.cpu_seconds_total, row.memory_bytes]
    )
  }
  await database.query("commit")
  for (const [id] of entries) await consumer.xack("naive", "digest", id)
}
