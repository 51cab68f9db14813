/** What a test's server keeps of acting: what hosts said, what waits for them, and stories that a test puts there. */
import { Effect, Layer } from "effect"
import type { Server, UnknownServer } from "../access/Servers.ts"
import {
  type Act,
  Acting,
  type Handed,
  type HandsSeen,
  type OrderStory,
  UnknownOrder,
  UnknownPreview
} from "../acting/Acting.ts"
import type { Poll } from "../protocol/Orders.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"

export interface ActingWorld {
  readonly hands: Map<string, HandsSeen>
  readonly polls: Array<{ readonly serverId: string; readonly poll: Poll }>
  /** What the next poll of a server is handed; nothing where it is not here. */
  readonly toHand: Map<string, Handed>
  readonly stories: Array<OrderStory>
  readonly acts: Array<Act>
}

type Reachable = <A, E>(operation: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, E | DatabaseUnavailable>

const ID = "00000000-0000-4000-8000-000000000001"

export const actingPort = (
  world: ActingWorld,
  reachable: Reachable,
  find: (serverId: string) => Effect.Effect<Server, UnknownServer>
) => {
  const storyOf = (orderId: string) =>
    Effect.suspend(() => {
      const story = world.stories.find(({ order }) => order.id === orderId)
      return story === undefined ? Effect.fail(new UnknownOrder({ orderId })) : Effect.succeed(story)
    })
  return Layer.succeed(Acting, {
    hands: (serverId) =>
      reachable(
        "hands",
        Effect.map(find(serverId), () => world.hands.get(serverId))
      ),
    preview: (serverId, target) =>
      reachable(
        "preview",
        Effect.map(find(serverId), () => ({
          ...{ id: ID, serverId, target, by: "somebody", askedAt: 1_700_000_000_000, expiresAt: 1_700_000_060_000 },
          ...{ state: "waiting" as const, answer: null }
        }))
      ),
    previewOf: (previewId) => reachable("preview", Effect.fail(new UnknownPreview({ previewId }))),
    ask: ({ previewId }) => reachable("order", Effect.fail(new UnknownPreview({ previewId }))),
    approve: (orderId) => reachable("approve", storyOf(orderId)),
    order: (orderId) => reachable("order", storyOf(orderId)),
    list: ({ limit }) =>
      reachable(
        "orders",
        Effect.sync(() => ({ orders: world.stories.slice(0, limit), next: null }))
      ),
    acts: () =>
      reachable(
        "acts",
        Effect.sync(() => world.acts)
      ),
    heard: (serverId, poll) =>
      reachable(
        "heard",
        Effect.sync(() => {
          world.polls.push({ serverId, poll })
          return poll.outcomes.map(({ id }) => id)
        })
      ),
    hand: (serverId, waitSeconds) =>
      Effect.gen(function* () {
        const handed = world.toHand.get(serverId)
        world.toHand.delete(serverId)
        if (handed === undefined) yield* Effect.sleep(waitSeconds * 1_000)
        return handed ?? { previews: [], orders: [] }
      }),
    refresh: Effect.void,
    run: Effect.never
  })
}
