/** A server that is played by a test for `nodepulse hands`: what polls say, and what they are answered. It records every outcome. */
import { randomUUID } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Order, Outcome, Poll, Preview, PreviewTarget } from "../../src/protocol/Orders.ts"
import { until } from "./AgentInRoot.ts"

export class PlayedServer {
  #previews: Array<unknown> = []
  #orders: Array<unknown> = []
  readonly previews = new Map<string, Preview>()
  readonly outcomes: Array<Outcome> = []
  polls = 0

  /** Answers `POST /api/hands/poll`. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk) => chunks.push(chunk))
    request.on("end", () => {
      const poll = JSON.parse(Buffer.concat(chunks).toString()) as Poll
      this.polls++
      for (const preview of poll.previews) this.previews.set(preview.id, preview)
      for (const outcome of poll.outcomes)
        if (!this.outcomes.some(({ id }) => id === outcome.id)) this.outcomes.push(outcome)
      const answer = {
        version: 1,
        server: "pulse",
        previews: this.#previews,
        orders: this.#orders,
        recorded: poll.outcomes.map(({ id }) => id)
      }
      this.#previews = []
      this.#orders = []
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify(answer))
    })
  }

  async preview(target: PreviewTarget): Promise<Preview> {
    const id = randomUUID()
    this.#previews.push({ id, target })
    await until("the preview comes", async () => this.previews.has(id), 20)
    return this.previews.get(id)!
  }

  /** Gives it to the host, and waits for what becomes of it this time. */
  async order(order: Order, approvals: ReadonlyArray<unknown>): Promise<Outcome> {
    const known = this.outcomes.length
    const told = () => this.outcomes.slice(known).find((one) => one.order === order.id)
    this.#orders.push({ order, approvals })
    await until("the outcome comes", async () => told() !== undefined, 60)
    return told()!
  }
}
