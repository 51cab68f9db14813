/**
 * The samples of the last 15 minutes, in arrays that are made once: a column of the host for each of its values, and a track for each
 * process or unit that was among the hottest at some time.
 *
 * Guarantee: memory is bounded by {@link RING_SAMPLES} and the number of tracks, whatever happens on the machine (`bench/recorder.ts`
 * says how much that is). A value that is not known is NaN. Where tracks run out, the one that was seen longest ago gives way.
 */

/** A sample a second for 15 minutes. */
export const RING_SAMPLES = 900

export interface Track<T> {
  readonly what: T
  readonly cpu: Float32Array
  readonly memory: Float64Array
  /** The number of the last sample in which it was read; negative: none yet. */
  seen: number
  /** The memory that it had first and most. */
  readonly since: number
}

export class Tracks<T> {
  readonly #most: number
  readonly #tracks = new Map<string, Track<T>>()

  constructor(most: number) {
    this.#most = most
  }

  get(key: string): Track<T> | undefined {
    return this.#tracks.get(key)
  }

  /** The track of this key, made where there is none. `sample`: the number of the sample that is being taken. */
  open(key: string, what: () => T, sample: number): Track<T> {
    const known = this.#tracks.get(key)
    if (known !== undefined) return known
    if (this.#tracks.size >= this.#most) this.#forgetOldest()
    const track: Track<T> = {
      what: what(),
      cpu: new Float32Array(RING_SAMPLES).fill(Number.NaN),
      memory: new Float64Array(RING_SAMPLES).fill(Number.NaN),
      seen: -1,
      since: sample
    }
    this.#tracks.set(key, track)
    return track
  }

  /** Begins a sample: what is not written in it is not known. */
  begin(sample: number): void {
    const place = sample % RING_SAMPLES
    for (const [key, track] of this.#tracks) {
      if (sample - Math.max(track.seen, track.since) >= RING_SAMPLES) this.#tracks.delete(key)
      track.cpu[place] = Number.NaN
      track.memory[place] = Number.NaN
    }
  }

  write(track: Track<T>, sample: number, cpu: number, memory: number): void {
    const place = sample % RING_SAMPLES
    track.cpu[place] = cpu
    track.memory[place] = memory
    track.seen = sample
  }

  all(): ReadonlyArray<Track<T>> {
    return [...this.#tracks.values()].filter(({ seen }) => seen >= 0)
  }

  #forgetOldest(): void {
    let oldest: string | undefined
    let seen = Number.POSITIVE_INFINITY
    for (const [key, track] of this.#tracks) {
      const at = Math.max(track.seen, track.since)
      if (at >= seen) continue
      oldest = key
      seen = at
    }
    if (oldest !== undefined) this.#tracks.delete(oldest)
  }
}

/** The columns of the machine as a whole, and when each sample was taken. */
export class HostRing {
  /** Milliseconds since boot. */
  readonly boot = new Float64Array(RING_SAMPLES)
  readonly columns: ReadonlyArray<Float64Array>
  /** How many samples were begun. */
  samples = 0

  constructor(columns: number) {
    this.columns = Array.from({ length: columns }, () => new Float64Array(RING_SAMPLES).fill(Number.NaN))
  }

  write(boot: number, values: ReadonlyArray<number>): void {
    const place = this.samples % RING_SAMPLES
    this.boot[place] = boot
    for (const [n, column] of this.columns.entries()) column[place] = values[n] ?? Number.NaN
    this.samples++
  }

  /** The places of the samples since `from` (milliseconds since boot), in order of time. */
  places(from: number): ReadonlyArray<number> {
    const first = Math.max(0, this.samples - RING_SAMPLES)
    const places: Array<number> = []
    for (let sample = first; sample < this.samples; sample++) {
      const place = sample % RING_SAMPLES
      if (this.boot[place]! >= from) places.push(place)
    }
    return places
  }
}
