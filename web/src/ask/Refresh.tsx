/**
 * One heartbeat for the whole page: every 15 s everything that is shown is asked for again.
 *
 * Guarantee: nothing is asked while the tab is hidden or the session has ended, and at once when that is over; after a failure the time to the
 * next try doubles up to `BACKOFF_MAX`, or is what the server asks for. What was known stays on the screen, dated. Answers
 * are kept by their address, `KEPT_MAX` of them, so that going back shows at once what was there. One question that several
 * parts of the page ask at the same time goes to the server once; one that is still under way at the next beat, or when somebody
 * presses Refresh, is not asked again.
 */
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore
} from "react"
import { type Answer, AskFailed, addressOf, ask, type Query, type Route } from "./Api.ts"

const EVERY = 15_000
const BACKOFF_MAX = 240_000
const KEPT_MAX = 60

interface Kept {
  readonly value: unknown
  readonly at: number
}
const kept = new Map<string, Kept>()
const keep = (key: string, entry: Kept) => {
  kept.delete(key)
  kept.set(key, entry)
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT_MAX) break
    kept.delete(oldest)
  }
}
/** When somebody signs out, nothing of what they saw stays. */
export const forgetAnswers = (): void => kept.clear()

/** A question that is on its way, for all that ask it. */
interface Flight {
  readonly answer: Promise<unknown>
  readonly stop: AbortController
  askers: number
}
const flights = new Map<string, Flight>()

/** The answer to a question, and how to lose interest in it: the last one to do so aborts it. */
const join = <R extends Route>(key: string, route: R, parameters: Query) => {
  const flight = flights.get(key) ?? depart(key, route, parameters)
  flight.askers++
  return {
    answer: flight.answer as Promise<Answer<R>>,
    leave: () => {
      flight.askers--
      // The next beat leaves and joins in one turn: what is asked again was not left.
      queueMicrotask(() => {
        if (flight.askers > 0) return
        if (flights.get(key) === flight) flights.delete(key)
        flight.stop.abort()
      })
    }
  }
}

const depart = <R extends Route>(key: string, route: R, parameters: Query): Flight => {
  const stop = new AbortController()
  const landed = () => {
    if (flights.get(key) === flight) flights.delete(key)
  }
  const flight: Flight = { answer: ask(route, parameters, { signal: stop.signal }), stop, askers: 0 }
  flight.answer.then(landed, landed)
  flights.set(key, flight)
  return flight
}

export interface Beat {
  /** Grows with each refresh. */
  readonly tick: number
  readonly busy: number
  /** When everything was last known to be right. */
  readonly freshAt: number | undefined
  readonly failure: AskFailed | undefined
  /** When it is tried next. */
  readonly nextAt: number
  readonly hidden: boolean
  readonly paused: boolean
}

interface Heart extends Beat {
  readonly began: () => void
  /** `dropped`: nobody wanted the answer any more. */
  readonly ended: (failure: AskFailed | undefined | "dropped") => void
  readonly refresh: () => void
  readonly setPaused: (paused: boolean) => void
}

const HeartContext = createContext<Heart | undefined>(undefined)

export const useHeart = (): Heart => {
  const heart = useContext(HeartContext)
  if (heart === undefined) throw new Error("outside of <Heartbeat>")
  return heart
}

export const Heartbeat = ({ children, stopped }: { readonly children: ReactNode; readonly stopped: boolean }) => {
  const [beat, setBeat] = useState<Beat>(() => ({
    tick: 0,
    busy: 0,
    freshAt: undefined,
    failure: undefined,
    nextAt: Date.now() + EVERY,
    hidden: document.visibilityState === "hidden",
    paused: false
  }))
  /** How many beats in a row had a failure, and which one was the last. */
  const failures = useRef({ count: 0, tick: -1 })
  const tick = useRef(0)
  tick.current = beat.tick

  useEffect(() => {
    const seen = () => {
      const hidden = document.visibilityState === "hidden"
      setBeat((now) => ({ ...now, hidden, ...(hidden ? {} : { nextAt: Date.now() }) }))
    }
    const online = () => setBeat((now) => ({ ...now, nextAt: Date.now() }))
    document.addEventListener("visibilitychange", seen)
    window.addEventListener("online", online)
    return () => {
      document.removeEventListener("visibilitychange", seen)
      window.removeEventListener("online", online)
    }
  }, [])

  const wasStopped = useRef(false)
  useEffect(() => {
    if (wasStopped.current && !stopped) setBeat((now) => ({ ...now, nextAt: Date.now() }))
    wasStopped.current = stopped
  }, [stopped])

  const { hidden, nextAt, paused } = beat
  useEffect(() => {
    if (hidden || paused || stopped) return
    const timer = setTimeout(
      () => setBeat((now) => ({ ...now, tick: now.tick + 1, nextAt: Date.now() + EVERY })),
      Math.max(0, nextAt - Date.now())
    )
    return () => clearTimeout(timer)
  }, [nextAt, hidden, paused, stopped])

  const heart = useMemo<Heart>(
    () => ({
      ...beat,
      began: () => setBeat((now) => ({ ...now, busy: now.busy + 1 })),
      ended: (outcome) => {
        const failure = outcome === "dropped" ? undefined : outcome
        // What the address asks wrongly is no illness of the server, and trying less often would not mend it.
        const ill = failure !== undefined && (failure.status === 0 || failure.status === 429 || failure.status >= 500)
        const now = Date.now()
        const known = failures.current
        // Several questions are asked at once: they fail together, and one that succeeds proves little.
        if (ill && tick.current !== known.tick) failures.current = { count: known.count + 1, tick: tick.current }
        if (outcome === undefined && tick.current !== known.tick) failures.current = { count: 0, tick: -1 }
        const { count } = failures.current
        const wait = Math.max(Math.min(EVERY * 2 ** (count - 1), BACKOFF_MAX), (failure?.retryAfter ?? 0) * 1_000)
        setBeat((beat) => ({
          ...beat,
          busy: Math.max(0, beat.busy - 1),
          failure: ill ? failure : count === 0 ? undefined : beat.failure,
          freshAt: outcome === undefined ? now : beat.freshAt,
          ...(ill ? { nextAt: now + wait } : {})
        }))
      },
      refresh: () => setBeat((now) => ({ ...now, tick: now.tick + 1, nextAt: Date.now() + EVERY })),
      setPaused: (paused) => setBeat((now) => ({ ...now, paused }))
    }),
    [beat]
  )
  return <HeartContext value={heart}>{children}</HeartContext>
}

export interface Asked<A> {
  readonly value: A | undefined
  /** When `value` was answered. */
  readonly at: number | undefined
  readonly failure: AskFailed | undefined
  readonly loading: boolean
  /** Whether `value` is of the address before, while the new one is asked for. */
  readonly previous: boolean
}

/** What changes little is asked for once a minute, in one of four turns. */
export const seldom = (turn: 0 | 1 | 2 | 3) => ({ everyBeats: 4, turn })

interface Options {
  /** Asks on every n-th beat only; with `Infinity` once. */
  readonly everyBeats?: number
  /** Which of those beats, from 0: what is asked seldom takes turns, so that no refresh brings all of it. */
  readonly turn?: number
  /** Asks anew whenever it changes. */
  readonly again?: number
  /** Keeps showing the answer to the question before, while this one is asked. */
  readonly keepPrevious?: boolean
  readonly off?: boolean
  /** Tells nothing about whether the rest of the page is fresh: not counted as busy, as failing or as fresh. */
  readonly aside?: boolean
}

/** Asks now, whenever the question changes, and with each beat. */
export const useAsk = <R extends Route>(route: R, parameters: Query, options: Options = {}): Asked<Answer<R>> => {
  const { again = 0, aside = false, everyBeats = 1, keepPrevious = true, off = false, turn = 0 } = options
  const heart = useHeart()
  const { tick } = heart
  const { began, ended } = aside ? ASIDE : heart
  const key = off ? "" : addressOf(route, parameters)
  const [state, setState] = useState<{ readonly key: string; readonly entry?: Kept; readonly failure?: AskFailed }>({
    key
  })
  const calls = useRef({ began, ended, parameters })
  calls.current = { began, ended, parameters }
  const beat = Math.floor((tick + turn) / everyBeats)

  // biome-ignore lint/correctness/useExhaustiveDependencies: `beat` and `again` ask again.
  useEffect(() => {
    if (key === "") return
    let over = false
    calls.current.began()
    const { answer, leave } = join(key, route, calls.current.parameters)
    answer.then(
      (value) => {
        if (over) return
        over = true
        const entry = { value, at: Date.now() }
        keep(key, entry)
        setState({ key, entry })
        calls.current.ended(undefined)
      },
      (error: unknown) => {
        if (over) return
        over = true
        const failure =
          error instanceof AskFailed ? error : new AskFailed(0, "The answer cannot be read", String(error))
        setState((now) => ({ ...(now.key === key ? now : { key }), failure }))
        calls.current.ended(failure)
      }
    )
    return () => {
      if (!over) calls.current.ended("dropped")
      over = true
      leave()
    }
  }, [route, key, beat, again])

  const own = state.key === key ? state.entry : undefined
  const entry = own ?? kept.get(key) ?? (keepPrevious && !off ? state.entry : undefined)
  const failure = state.key === key ? state.failure : undefined
  return {
    value: entry?.value as Answer<R> | undefined,
    at: entry?.at,
    failure,
    loading: key !== "" && entry === undefined && failure === undefined,
    previous: entry !== undefined && own === undefined && !kept.has(key)
  }
}

const ASIDE: Pick<Heart, "began" | "ended"> = { began: () => {}, ended: () => {} }

const seconds = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
let shown = Date.now()
const subscribe = (listener: () => void) => {
  seconds.add(listener)
  timer ??= setInterval(() => {
    shown = Date.now()
    for (const each of seconds) each()
  }, 1_000)
  return () => {
    seconds.delete(listener)
    if (seconds.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}
/** The time, second by second, for "3 s ago". */
export const useNow = (): number => useSyncExternalStore(subscribe, () => shown)
