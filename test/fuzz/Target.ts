/** What a target of the fuzzer is, and what all of them share. */
import config from "../../plugins.config.ts"
import { makeWires } from "../../src/plugins/Wire.ts"
import { type Chance, makeChance } from "../conservation/Chance.ts"
import { damaged, noise, repeated } from "./Mutation.ts"

/** Whether something came of an input. Both must occur, or nothing is tested. */
export type Outcome = "taken" | "refused"

export interface Target {
  readonly name: string
  readonly input: (chance: Chance) => Buffer
  /** Throws where a promise is broken. */
  readonly check: (input: Buffer, chance: Chance) => Outcome
}

/** The n-th input of a seed. */
export const inputOf = (target: Target, seed: number, n: number): Buffer => target.input(makeChance(mixed(seed, n)))

/** The choices of the n-th check: not those that made the input, so that the bytes alone can be tried again. */
export const chanceOf = (seed: number, n: number): Chance => makeChance(mixed(seed, n) ^ 0x5bd1e995)

const mixed = (seed: number, n: number): number => Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b)

/** Holds, or the input breaks a promise. */
export const must = (isTrue: boolean, what: string): void => {
  if (!isTrue) throw new Error(what)
}

/**
 * One in ten is made of nothing, one in a thousand is `large`: the same few bytes again and again, or what the target
 * says; the others are what was meant, damaged.
 */
export const shaped = (
  chance: Chance,
  meant: () => Buffer,
  large: (chance: Chance) => Buffer = (chance) => repeated(chance, 128 * 1024)
): Buffer => {
  const kind = chance.next()
  if (kind < 0.001) return large(chance)
  if (kind < 0.1) return noise(chance, 300)
  return damaged(meant(), chance)
}

export const NOW = Date.parse("2025-10-30T12:00:00Z")
export const wires = makeWires(config.exporters)

/** Unchanged to the last bit, where PostgreSQL can tell: -0 is 0. */
export const isSame = (
  a: { readonly values: ReadonlyArray<unknown> },
  b: { readonly values: ReadonlyArray<unknown> }
): boolean => JSON.stringify(a) === JSON.stringify(b)
