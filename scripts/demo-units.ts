/**
 * The units of a server that does not exist: which program runs in which service or container, and what each unit's cgroup would
 * have counted. A unit uses a little more than its programs: what lives too short to be seen.
 *
 * Repeatable: it follows from what the programs did. Counters are kept by `UnitBook`, which walks through time with its machine.
 */

/** What a program did since the moment before. */
export interface ProgramStep {
  readonly name: string
  /** Core-seconds. */
  readonly cpu: number
  readonly memoryBytes: number
  readonly procs: number
}

interface Place {
  readonly unit: string
  readonly slice: string
  /** Its quota in cores, and the limit of its memory in MiB. */
  readonly cores?: number
  readonly limitMb?: number
  /** The part of its CPU that no program in sight used. */
  readonly unseen?: number
}

const container = (unit: string, more: Omit<Place, "unit" | "slice"> = {}): Place => ({
  unit,
  slice: "system.slice",
  ...more
})

/** Programs that are not the service of their own name. */
const PLACES: Readonly<Record<string, Place>> = {
  systemd: { unit: "init.scope", slice: "" },
  sshd: { unit: "ssh.service", slice: "system.slice" },
  dockerd: { unit: "docker.service", slice: "system.slice" },
  node: container("shop-web", { limitMb: 1_536, unseen: 0.01 }),
  "php-fpm": container("shop-cms", { cores: 0.75, limitMb: 1_024 }),
  "redis-server": container("shop-sessions", { limitMb: 256 }),
  "mailqueue-worker": { unit: "mailqueue.service", slice: "system.slice", cores: 1, limitMb: 512, unseen: 0.06 },
  thumbnailer: container("thumbnailer", { limitMb: 6_144 }),
  rustc: { unit: "user build", slice: "user.slice", unseen: 0.02 },
  "ld.lld": { unit: "user build", slice: "user.slice" },
  git: { unit: "user build", slice: "user.slice" },
  certbot: { unit: "certbot.service", slice: "system.slice", unseen: 0.2 },
  postgres: { unit: "postgresql@16-main.service", slice: "system-postgresql.slice", unseen: 0.005 },
  pg_dump: { unit: "cron.service", slice: "system.slice" },
  python3: { unit: "cron.service", slice: "system.slice" },
  airflow: container("airflow"),
  rabbitmq: container("rabbitmq", { limitMb: 512 }),
  "unattended-upgr": { unit: "apt-daily-upgrade.service", slice: "system.slice", unseen: 0.3 }
}

/** Where a program runs. */
export const placeOf = (program: string): Place =>
  Object.hasOwn(PLACES, program) ? PLACES[program]! : { unit: `${program}.service`, slice: "system.slice" }

interface Counted {
  readonly place: Place
  cpu: number
  read: number
  written: number
  periods: number
  throttledPeriods: number
  throttled: number
  waitedCpu: number
  waitedIo: number
  peak: number
}

/** Counts for each unit of one server, from one moment to the next. */
export class UnitBook {
  readonly #units = new Map<string, Counted>()

  /** The rows at a moment, `dt` seconds after the one before. `waiting`: the part of the time that somebody waits for a CPU. */
  rows(
    steps: ReadonlyArray<ProgramStep>,
    dt: number,
    kernel: number,
    waiting: number
  ): ReadonlyArray<Readonly<Record<string, string | number | null>>> {
    const byUnit = new Map<string, Array<ProgramStep>>()
    for (const step of steps) {
      const { unit } = placeOf(step.name)
      byUnit.set(unit, [...(byUnit.get(unit) ?? []), step])
    }
    const rows = [...byUnit].map(([unit, its]) => this.#row(unit, its, dt, waiting))
    const unseen = steps.reduce((total, { cpu, name }) => total + cpu * (placeOf(name).unseen ?? 0), 0)
    return [...rows, this.#kernelRow(Math.max(0, kernel * 0.9 - unseen))]
  }

  #row(unit: string, steps: ReadonlyArray<ProgramStep>, dt: number, waiting: number) {
    const place = placeOf(steps[0]!.name)
    const counted = this.#counted(unit, place)
    const cpu = steps.reduce((total, { cpu, name }) => total + cpu * (1 + (placeOf(name).unseen ?? 0)), 0)
    const memory = steps.reduce((total, { memoryBytes }) => total + memoryBytes, 0) * 0.94
    const load = dt === 0 ? 0 : cpu / dt
    counted.cpu += cpu
    counted.read += cpu * 2.5e5
    counted.written += cpu * 4e5
    counted.waitedCpu += Math.min(1, waiting * Math.min(1, load) + 0.01 * Math.min(1, load)) * dt
    counted.waitedIo += 0.004 * Math.min(1, load) * dt
    counted.peak = Math.max(counted.peak, memory * 1.1)
    if (place.cores !== undefined) {
      const pressed = Math.min(1, Math.max(0, (load / place.cores - 0.8) / 0.4))
      counted.periods += Math.round(dt * 10)
      counted.throttledPeriods += Math.round(dt * 10 * pressed)
      counted.throttled += dt * 0.6 * pressed
    }
    const procs = steps.reduce((total, each) => total + each.procs, 0)
    return rowOf(counted, memory, procs)
  }

  #kernelRow(cpu: number) {
    const counted = this.#counted("(kernel)", { unit: "(kernel)", slice: "" })
    counted.cpu += cpu
    return {
      unit: "(kernel)",
      slice: "",
      cpu_seconds_total: rounded(counted.cpu),
      memory_bytes: 210 * 2 ** 20,
      num_procs: 96
    }
  }

  #counted(unit: string, place: Place): Counted {
    const found = this.#units.get(unit)
    if (found !== undefined) return found
    const counted = {
      ...{ place, cpu: 0, read: 0, written: 0, periods: 0, throttledPeriods: 0, throttled: 0 },
      ...{ waitedCpu: 0, waitedIo: 0, peak: 0 }
    }
    this.#units.set(unit, counted)
    return counted
  }
}

const rowOf = ({ place, ...counted }: Counted, memory: number, procs: number) => ({
  unit: place.unit,
  slice: place.slice,
  cpu_seconds_total: rounded(counted.cpu),
  memory_bytes: Math.round(memory),
  memory_anon_bytes: Math.round(memory * 0.85),
  memory_peak_bytes: Math.round(counted.peak),
  memory_limit_bytes: place.limitMb === undefined ? null : place.limitMb * 2 ** 20,
  oom_kills_total: 0,
  read_bytes_total: Math.round(counted.read),
  write_bytes_total: Math.round(counted.written),
  num_procs: procs,
  num_threads: procs * 3,
  cpu_limit_cores: place.cores ?? null,
  cpu_periods_total: counted.periods,
  cpu_throttled_periods_total: counted.throttledPeriods,
  throttled_seconds_total: rounded(counted.throttled),
  cpu_pressure_seconds_total: rounded(counted.waitedCpu),
  memory_pressure_seconds_total: 0,
  memory_stalled_seconds_total: 0,
  io_pressure_seconds_total: rounded(counted.waitedIo),
  io_stalled_seconds_total: rounded(counted.waitedIo * 0.4)
})

const rounded = (value: number): number => Number(value.toFixed(4))
