/** ntfy, which brings messages to phones: published as JSON, so that nothing of a message is a header. Pure. */
import { bodyOf, isOver, type Message, severityOf, textOf, titleOf } from "../Message.ts"

/** ntfy makes a file of what is longer than 4 096 bytes; a character has at most three in UTF-16. */
const LENGTH_MAX = 1_300

const PRIORITY = { info: 2, warning: 3, critical: 5 } as const

export const ntfyOf = (message: Message, topic: string) => {
  const over = message.incidents.length > 0 && message.incidents.every(isOver)
  const severity = severityOf(message.incidents)
  const click = message.incidents[0]?.alerts[0]?.link
  return {
    topic,
    title: titleOf(message),
    message: textOf(bodyOf(message), LENGTH_MAX) || titleOf(message),
    priority: over || message.isTest ? 3 : PRIORITY[severity],
    tags: [over || message.isTest ? "white_check_mark" : severity === "critical" ? "rotating_light" : "warning"],
    ...(click === undefined ? {} : { click })
  }
}
