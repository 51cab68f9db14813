/** A recording such as an agent sends, for tests. */
import { HOST_COLUMNS, type OomKill, type Recording } from "./Recording.ts"

export const kill = (changes: Partial<OomKill> = {}): OomKill => ({
  at: 1_764_000_000,
  name: "hog",
  pid: 9,
  unit: "hog.service",
  memory: 66_000_000,
  scope: "unit",
  limited: "hog.service",
  limit: 67_108_864,
  source: "kernel",
  ...changes
})

/** Of so many seconds. */
export const recording = (changes: Partial<Recording> = {}, seconds = 3): Recording => {
  const values = (value: number) => Array.from({ length: seconds }, (_, n) => (n === 0 ? null : value * n))
  return {
    version: 1,
    id: "0123456789abcdef0123456789abcdef",
    reason: "asked",
    ended: 1_764_000_000,
    at: Array.from({ length: seconds }, (_, n) => n - seconds + 1),
    cores: 4,
    memory: 8_000_000_000,
    host: Object.fromEntries(HOST_COLUMNS.map((name, n) => [name, values(n)])) as unknown as Recording["host"],
    processes: [{ name: "hog", pid: 9, unit: "hog.service", cpu: values(10), memory: values(1_000_000) }],
    units: [{ name: "hog.service", limit: 67_108_864, cpu: values(10), memory: values(1_000_000) }],
    kills: [],
    degraded: [],
    ...changes
  }
}
