/**
 * A fleet that does not exist, for demonstrations and screenshots: servers with days as people know them, a leak, a build
 * that runs away, a crash loop, a server that fell silent.
 *
 * Pure and repeatable: what a server did at a moment follows from its name and the moment alone, so that history and live
 * rows continue each other. Counters are kept by `Machine`, which walks through time.
 */
import { type ProgramStep, placeOf, UnitBook } from "./demo-units.ts"

/** A group of processes: how busy it is at a moment. `hour` is of the fleet's own day, `t` epoch seconds. */
interface Program {
  readonly name: string
  readonly procs: number
  /** Cores it keeps busy. */
  readonly cpu: (at: Moment) => number
  /** MiB resident. */
  readonly memory: (at: Moment) => number
  /** Whether it runs at all; absent rows where not. */
  readonly here?: (at: Moment) => boolean
  /** When its counters began, epoch seconds: a crash loop begins anew again and again. */
  readonly since?: (at: Moment) => number
}

export interface Moment {
  readonly t: number
  readonly hour: number
  readonly weekend: boolean
  /** The moment that the demonstration counts as now: stories end there. */
  readonly now: number
  /** Repeatable noise from 0 to 1 that changes every few seconds. */
  readonly noise: (salt: string, seconds?: number) => number
}

export interface DemoServer {
  readonly name: string
  readonly cores: number
  readonly memoryMb: number
  /** Seconds before now at which it stopped reporting; 0 reports still. */
  readonly silentFor: number
  /** Whether it is heard again now and then, too seldom to be live and too often to be silent. */
  readonly isFaint: boolean
  readonly bootDays: number
  readonly programs: ReadonlyArray<Program>
}

const hash = (text: string): number => {
  let value = 2_166_136_261
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 16_777_619)
  value ^= value >>> 15
  value = Math.imul(value, 2_246_822_519)
  value ^= value >>> 13
  return (value >>> 0) / 4_294_967_296
}

/** Smooth noise: neighbours in time are alike. */
const smooth = (salt: string, t: number, seconds: number): number => {
  const at = t / seconds
  const left = Math.floor(at)
  const part = at - left
  const ease = part * part * (3 - 2 * part)
  return hash(`${salt}:${left}`) * (1 - ease) + hash(`${salt}:${left + 1}`) * ease
}

const momentAt = (server: string, t: number, now: number): Moment => {
  // Whenever it is looked at, it is a Wednesday, ten past three in the afternoon: 2025-10-29T15:10:00Z.
  const date = new Date((t - now + 1_761_750_600) * 1000)
  return {
    t,
    now,
    hour: date.getUTCHours() + date.getUTCMinutes() / 60,
    weekend: date.getUTCDay() % 6 === 0,
    noise: (salt, seconds = 45) => smooth(`${server}/${salt}`, t, seconds)
  }
}

/** How busy people keep a service: quiet nights, a morning that builds up, a dip at noon, less at weekends. */
const day = ({ hour, noise, weekend }: Moment): number => {
  const bump = (at: number, width: number) => Math.exp(-((((hour - at + 36) % 24) - 12) ** 2) / (2 * width ** 2))
  const shape = 0.16 + 0.72 * bump(10.5, 2.6) + 0.78 * bump(15.5, 3) + 0.25 * bump(20.5, 1.8)
  return Math.min(1.15, shape * (weekend ? 0.45 : 1)) * (0.86 + 0.28 * noise("day", 600))
}

/** A short burst that comes again every `every` seconds and lasts `lasts`. */
const burst = ({ t }: Moment, every: number, lasts: number, shift = 0): number => ((t + shift) % every < lasts ? 1 : 0)

const steady = (name: string, cpu: number, memory: number, procs = 1): Program => ({
  name,
  procs,
  cpu: ({ noise }) => cpu * (0.6 + 0.8 * noise(name)),
  memory: ({ noise }) => memory * (0.98 + 0.04 * noise(`${name}m`, 900))
})

const busy = (name: string, cpu: number, memory: number, procs: number): Program => ({
  name,
  procs,
  cpu: (at) => cpu * day(at) * (0.75 + 0.5 * at.noise(name)),
  memory: (at) => memory * (0.82 + 0.18 * day(at)) * (0.985 + 0.03 * at.noise(`${name}m`, 600))
})

const basics: ReadonlyArray<Program> = [
  steady("systemd", 0.003, 14),
  steady("systemd-journald", 0.006, 42),
  steady("sshd", 0.001, 9, 2),
  steady("cron", 0.0008, 4),
  steady("dockerd", 0.02, 96),
  steady("containerd", 0.012, 58),
  steady("node-agent", 0.01, 31),
  steady("chronyd", 0.0006, 5),
  {
    name: "unattended-upgr",
    procs: 1,
    cpu: () => 0.85,
    memory: () => 132,
    here: ({ hour }) => hour >= 6.2 && hour < 6.36
  }
]

const postgres = (cpu: number, memory: number): ReadonlyArray<Program> => [
  {
    name: "postgres",
    procs: 24,
    cpu: (at) => cpu * day(at) * (0.86 + 0.28 * at.noise("pg", 240)) + 0.5 * burst(at, 3_600, 190, 700),
    memory: (at) => memory * (0.94 + 0.06 * day(at))
  },
  steady("pgbouncer", 0.09, 24, 2),
  {
    name: "pg_dump",
    procs: 1,
    cpu: ({ noise }) => 0.9 + 0.1 * noise("dump"),
    memory: () => 88,
    here: ({ hour }) => hour >= 2 && hour < 2.7
  },
  {
    name: "walg",
    procs: 1,
    cpu: (at) => 0.35 + 0.3 * at.noise("walg"),
    memory: () => 64,
    here: (at) => burst(at, 900, 75) === 1
  }
]

/** Grows by 68 MiB an hour until somebody restarts it. */
const leak: Program = {
  name: "thumbnailer",
  procs: 4,
  cpu: (at) => 0.3 * day(at) + 0.08 * at.noise("thumb"),
  memory: ({ now, t }) => {
    const hours = (t - (now - 61 * 3_600)) / 3_600
    const since = hours >= 0 ? hours : hours + 63
    return 220 + 68 * Math.max(0, since) + 12 * Math.sin(t / 700)
  }
}

/** A build that somebody started 52 minutes ago and that does not end. */
const runaway: ReadonlyArray<Program> = [
  {
    name: "rustc",
    procs: 8,
    cpu: ({ noise, now, t }) => (t > now - 52 * 60 ? 6.4 + 0.9 * noise("rustc", 30) : 3.1 + noise("rustc", 30)),
    memory: ({ now, noise, t }) =>
      t > now - 52 * 60 ? 2_600 + Math.min(2_400, (t - (now - 3_120)) * 0.9) : 1_500 + 400 * noise("rm"),
    here: (at) => at.t > at.now - 52 * 60 || (!at.weekend && at.hour > 8 && at.hour < 19 && burst(at, 5_400, 900) === 1)
  },
  {
    name: "ld.lld",
    procs: 1,
    cpu: () => 0.96,
    memory: () => 890,
    here: (at) => burst(at, 1_260, 60) === 1
  },
  { name: "git", procs: 2, cpu: () => 0.4, memory: () => 75, here: (at) => burst(at, 600, 45) === 1 }
]

/** Starts, dies after half a minute, starts again. */
const crashLoop: Program = {
  name: "mailqueue-worker",
  procs: 2,
  cpu: ({ noise, now, t }) => (t > now - 3.4 * 3_600 ? 1.3 + 0.3 * noise("crash", 15) : 0.06),
  memory: ({ now, t }) => (t > now - 3.4 * 3_600 ? 60 + (t % 60) * 7 : 145),
  here: ({ now, t }) => t <= now - 3.4 * 3_600 || t % 60 < 40,
  since: ({ now, t }) => (t > now - 3.4 * 3_600 ? Math.floor(t / 60) * 60 : Math.floor((now - 20 * 86_400) / 60) * 60)
}

/** Renders pictures, goes wild, and is limited: `demo-hands.ts` has who did that. Seconds before now. */
export const WILD = { name: "grafana-renderer", wildFor: 50 * 60, limitedFor: 14 * 60, cores: 0.4 } as const

const renderer: Program = {
  name: WILD.name,
  procs: 3,
  cpu: ({ noise, now, t }) =>
    t <= now - WILD.wildFor ? 0.02 : t <= now - WILD.limitedFor ? 1.1 + 0.3 * noise("wild", 30) : WILD.cores,
  memory: ({ noise, now, t }) => (t <= now - WILD.wildFor ? 96 : 330 + 20 * noise("wild memory", 60))
}

const web = (cores: number): ReadonlyArray<Program> => [
  busy("node", cores * 0.34, 880, 6),
  busy("nginx", cores * 0.09, 96, cores + 1),
  busy("php-fpm", cores * 0.14, 620, 18),
  steady("redis-server", 0.05, 182),
  steady("fail2ban-server", 0.01, 41),
  {
    name: "certbot",
    procs: 1,
    cpu: () => 0.5,
    memory: () => 48,
    here: ({ hour }) => hour >= 3.5 && hour < 3.56
  },
  {
    name: "logrotate",
    procs: 1,
    cpu: () => 0.7,
    memory: () => 12,
    here: ({ now, t }) => t > now - 26 * 60 && t < now - 23 * 60
  }
]

const server = (
  name: string,
  cores: number,
  gib: number,
  programs: ReadonlyArray<Program>,
  more: { readonly silentFor?: number; readonly isFaint?: boolean; readonly bootDays?: number } = {}
): DemoServer => ({
  name,
  cores,
  memoryMb: gib * 1024,
  silentFor: more.silentFor ?? 0,
  isFaint: more.isFaint ?? false,
  bootDays: more.bootDays ?? 9 + Math.floor(hash(name) * 90),
  programs: [...programs, ...basics]
})

export const demoFleet: ReadonlyArray<DemoServer> = [
  server("web-1", 4, 8, [...web(4), crashLoop]),
  server("web-2", 4, 8, web(4)),
  server("web-3", 4, 8, web(4), { silentFor: 100, isFaint: true }),
  server("db-primary", 8, 32, postgres(4.2, 9_600)),
  server("db-replica", 8, 32, postgres(1.4, 9_100)),
  server("media-1", 4, 16, [busy("ffmpeg", 2.1, 640, 3), leak, busy("nginx", 0.2, 60, 5), steady("minio", 0.12, 410)]),
  server("ci-runner-1", 8, 16, [...runaway, steady("gitlab-runner", 0.04, 64), steady("java", 0.3, 1_350)]),
  server("ci-runner-2", 8, 16, [
    {
      ...runaway[0]!,
      here: (at) => !at.weekend && at.hour > 8 && at.hour < 19 && burst(at, 5_400, 1_500, 2_000) === 1,
      cpu: (at) => 3.4 + at.noise("r"),
      memory: (at) => 1_500 + 400 * at.noise("rm")
    },
    steady("gitlab-runner", 0.04, 64),
    steady("java", 0.3, 1_350)
  ]),
  server("cache-1", 2, 8, [busy("valkey-server", 0.7, 4_300, 1), steady("haproxy", 0.16, 55, 3)]),
  server("batch-1", 4, 16, [
    {
      name: "python3",
      procs: 5,
      cpu: (at) => 2.6 * (0.8 + 0.4 * at.noise("py")),
      memory: (at) => 2_300 + 900 * at.noise("pym", 400),
      here: (at) => burst(at, 7_200, 2_900) === 1
    },
    steady("airflow", 0.11, 510, 4),
    steady("rabbitmq", 0.14, 340)
  ]),
  server("legacy-erp", 2, 4, [busy("java", 0.8, 2_300, 1), steady("mysqld", 0.18, 610)], {
    silentFor: 47 * 60,
    bootDays: 412
  }),
  server("monitoring", 2, 4, [
    steady("prometheus", 0.14, 720),
    steady("grafana", 0.03, 130),
    steady("alertmanager", 0.008, 38),
    renderer
  ])
]

interface Counters {
  cpu: number
  since: number
}

/** Walks one server through time and tells what its exporters would have said. */
export class Machine {
  readonly server: DemoServer
  private readonly counters = new Map<string, Counters>()
  private readonly units = new UnitBook()
  private readonly modes = { user: 4e5, system: 9e4, idle: 2e7, iowait: 8e3, steal: 120 }
  private readonly totals = {
    read: 4e11,
    written: 9e11,
    reads: 2e7,
    writes: 6e7,
    io: 8e5,
    rx: 6e12,
    tx: 4e12,
    rxp: 5e9,
    txp: 4e9,
    waitedCpu: 9e4,
    waitedMemory: 40,
    waitedIo: 6e3
  }
  private last: number | undefined

  constructor(server: DemoServer) {
    this.server = server
  }

  /** The rows at a moment, wire names as in the payload; null while the server is silent. Time only goes forward. */
  at(
    t: number,
    now: number
  ): {
    readonly host: Readonly<Record<string, number>>
    readonly groups: ReadonlyArray<{ readonly since: number; readonly row: Readonly<Record<string, string | number>> }>
    readonly units: ReadonlyArray<Readonly<Record<string, string | number | null>>>
  } | null {
    const { cores, memoryMb, name, programs } = this.server
    const moment = momentAt(name, t, now)
    const dt = this.last === undefined ? 0 : t - this.last
    this.last = t
    const wanted = programs.map((program) => ((program.here?.(moment) ?? true) ? program.cpu(moment) : 0))
    const sum = wanted.reduce((total, cpu) => total + cpu, 0)
    const kernel = 0.03 + 0.05 * moment.noise("kernel") + 0.06 * sum
    // A machine has as many cores as it has.
    const squeeze = Math.min(1, (cores * 0.985) / (sum + kernel))
    const steps: Array<ProgramStep> = []
    const groups = programs.flatMap((program, index) => {
      const here = program.here?.(moment) ?? true
      const since = program.since?.(moment) ?? now - this.server.bootDays * 86_400
      const kept = this.counters.get(program.name) ?? { cpu: 900 * hash(program.name), since }
      if (Math.abs(kept.since - since) > 3_600 * 24) kept.since = since
      if (program.since !== undefined && kept.since !== since) {
        kept.since = since
        kept.cpu = 0
      }
      // What has just begun has used nothing before.
      kept.cpu += wanted[index]! * squeeze * Math.max(0, Math.min(dt, t - kept.since))
      this.counters.set(program.name, kept)
      const memoryBytes = here ? Math.round(Math.max(1, program.memory(moment)) * 256) * 4_096 : 0
      // A unit that starts its program again and again is there all the time, and counts each of them to its end.
      if (here || program.since !== undefined) {
        const procs = here ? program.procs : 0
        steps.push({ name: program.name, cpu: wanted[index]! * squeeze * dt, memoryBytes, procs })
      }
      if (!here) return []
      return [
        {
          since: kept.since,
          row: {
            name: program.name,
            unit: placeOf(program.name).unit,
            num_procs: program.procs,
            cpu_seconds_total: round(kept.cpu, 4),
            memory_bytes: memoryBytes
          }
        }
      ]
    })
    const usedCpu = sum * squeeze
    const units = this.units.rows(steps, dt, kernel * squeeze * dt, 1 - squeeze)
    const io = 0.02 + 0.12 * moment.noise("io", 60) + (sum > cores * 0.8 ? 0.2 : 0)
    this.modes.user += usedCpu * 0.86 * dt
    this.modes.system += (usedCpu * 0.14 + kernel * squeeze) * dt
    this.modes.iowait += io * 0.3 * dt
    this.modes.steal += 0.002 * dt
    this.modes.idle += Math.max(0, cores - usedCpu - kernel - io * 0.3) * dt
    const network = (0.3 + day(moment)) * (0.7 + 0.6 * moment.noise("net", 40)) * cores
    this.move(dt, io, network)
    if (this.isSilent(t - now)) return null
    const resident = groups.reduce((total, { row }) => total + Number(row.memory_bytes), 0)
    const total = memoryMb * 2 ** 20
    const used = Math.min(total * 0.97, resident * 0.93 + 260 * 2 ** 20)
    const cached = Math.min(total - used, total * (0.22 + 0.05 * moment.noise("cache", 1_800)))
    const load = usedCpu + kernel + (squeeze < 1 ? (1 - squeeze) * sum * 1.4 : 0)
    const disk = Math.max(total * 6, 80e9)
    const diskUsed = disk * (0.41 + 0.12 * hash(name)) + 2e9 * ((t / 86_400) % 7)
    return {
      groups,
      units,
      host: {
        cpu_idle_seconds: round(this.modes.idle, 2),
        cpu_iowait_seconds: round(this.modes.iowait, 2),
        cpu_system_seconds: round(this.modes.system, 3),
        cpu_user_seconds: round(this.modes.user, 3),
        cpu_steal_seconds: round(this.modes.steal, 2),
        cpu_cores: cores,
        memory_total_bytes: total,
        memory_available_bytes: Math.round(total - used),
        memory_free_bytes: Math.round(Math.max(0, total - used - cached)),
        memory_buffers_bytes: Math.round(total * 0.012),
        memory_cached_bytes: Math.round(cached),
        memory_active_bytes: Math.round(used * 0.8),
        memory_inactive_bytes: Math.round(cached * 0.8),
        swap_total_bytes: 2 * 2 ** 30,
        swap_free_bytes: 2 * 2 ** 30 - Math.round(2 ** 28 * moment.noise("swap", 7_200)),
        swap_used_bytes: Math.round(2 ** 28 * moment.noise("swap", 7_200)),
        swap_cached_bytes: 1_048_576,
        disk_total_bytes: disk,
        disk_used_bytes: Math.round(diskUsed),
        disk_available_bytes: Math.round(disk * 0.95 - diskUsed),
        disk_reads_completed_total: Math.round(this.totals.reads),
        disk_writes_completed_total: Math.round(this.totals.writes),
        disk_read_bytes_total: Math.round(this.totals.read),
        disk_written_bytes_total: Math.round(this.totals.written),
        disk_io_time_seconds_total: round(this.totals.io, 2),
        network_receive_bytes_total: Math.round(this.totals.rx),
        network_transmit_bytes_total: Math.round(this.totals.tx),
        network_receive_packets_total: Math.round(this.totals.rxp),
        network_transmit_packets_total: Math.round(this.totals.txp),
        network_receive_errs_total: 0,
        network_transmit_errs_total: 0,
        network_receive_drop_total: Math.floor(t / 40_000),
        network_transmit_drop_total: 0,
        load_1min: round(load * (0.9 + 0.2 * moment.noise("l1", 60)), 2),
        load_5min: round(load * (0.93 + 0.1 * moment.noise("l5", 300)), 2),
        load_15min: round(load * 0.95, 2),
        processes_running: Math.max(1, Math.round(load)),
        processes_blocked: io > 0.25 ? 1 : 0,
        processes_total: groups.reduce((count, { row }) => count + Number(row.num_procs), 96),
        uptime_seconds: Math.round(this.server.bootDays * 86_400 + (t - now)),
        ...this.pressure(dt, Math.min(1, (0.25 * usedCpu) / cores + 2 * (1 - squeeze)), io)
      }
    }
  }

  /** What disks and network moved in the meantime. */
  private move(dt: number, io: number, network: number): void {
    this.totals.read += io * 9e6 * dt
    this.totals.written += io * 16e6 * dt
    this.totals.reads += io * 210 * dt
    this.totals.writes += io * 480 * dt
    this.totals.io += Math.min(1, io) * 0.6 * dt
    this.totals.rx += network * 9e5 * dt
    this.totals.tx += network * 1.7e6 * dt
    this.totals.rxp += network * 1_100 * dt
    this.totals.txp += network * 1_400 * dt
  }

  /** `since`: seconds since the moment that counts as now. */
  private isSilent(since: number): boolean {
    const { isFaint, silentFor } = this.server
    return silentFor > 0 && since > -silentFor && !(isFaint && (since + 120) % 240 === 0)
  }

  /** Some wait for a CPU now and then; where there is too little of it, somebody always does. */
  private pressure(dt: number, cpu: number, io: number) {
    this.totals.waitedCpu += cpu * dt
    this.totals.waitedMemory += 0.0004 * dt
    this.totals.waitedIo += io * 0.2 * dt
    return {
      pressure_cpu_seconds: round(this.totals.waitedCpu, 3),
      pressure_memory_seconds: round(this.totals.waitedMemory, 3),
      pressure_io_seconds: round(this.totals.waitedIo, 3)
    }
  }
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
