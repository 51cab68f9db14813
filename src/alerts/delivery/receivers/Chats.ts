/**
 * Incoming hooks of chats: Slack, Mattermost, Discord and Teams, each with its own JSON. Pure.
 *
 * Guarantee: no name can mention anybody, make a link, or change how a message looks. Each chat is told to take text as it is where it
 * can be; where it cannot, what it would take for markup is escaped as it asks for.
 */
import { bodyOf, type Message, severityOf, textOf, titleOf } from "../Message.ts"

/** Below the limits of each: 3 000 characters of a block, 16 383 of a post, 2 000 of a message, 28 KB of a card. */
const LENGTH_MAX = { slack: 2_800, mattermost: 12_000, discord: 1_900, teams: 12_000 } as const

export type Chat = keyof typeof LENGTH_MAX

/** The body of a post to a chat's hook. */
export const chatOf = (chat: Chat, message: Message): unknown => POSTS[chat](message)

/** `&`, `<` and `>` make all of Slack's links, mentions and commands. */
const slackText = (text: string): string =>
  text.replace(/[&<>]/g, (found) => (found === "&" ? "&amp;" : found === "<" ? "&lt;" : "&gt;"))

/** The text as `escape` makes it, no longer than a chat takes, and cut before it is escaped: no escape is cut in two. */
const fitting = (lines: ReadonlyArray<string>, lengthMax: number, escape: (text: string) => string): string => {
  let room = lengthMax
  for (;;) {
    const text = escape(textOf(lines, room))
    if (text.length <= lengthMax || room < 10) return text.slice(0, lengthMax)
    room = Math.floor(room * 0.7)
  }
}

const slack = (message: Message) => {
  const title = titleOf(message)
  const body = fitting(bodyOf(message), LENGTH_MAX.slack, (text) => text)
  return {
    // What a notification shows; the blocks are what the channel does.
    text: slackText(title),
    mrkdwn: false,
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      plainBlock(title),
      ...(body === "" ? [] : [plainBlock(body)]),
      ...linksOf(message).map((url) => ({
        type: "section",
        text: { type: "mrkdwn", text: `<${slackText(url)}|Open in NodePulse>`, verbatim: true }
      }))
    ]
  }
}

const plainBlock = (text: string) => ({ type: "section", text: { type: "plain_text", text, emoji: false } })

/** The page of the first alert: one link is enough for a phone. */
const linksOf = ({ incidents }: Message): ReadonlyArray<string> => {
  const link = incidents[0]?.alerts[0]?.link
  return link === undefined ? [] : [link]
}

/** Markdown's marks with a backslash before them, and mentions parted by an invisible blank. Links that are ours stay such. */
const markdownText = (text: string): string =>
  text
    .split("\n")
    .map((line) => (/^https?:\/\/[^\s()<>[\]`*_~|\\@]+$/.test(line) ? line : escaped(line)))
    .join("\n")

const escaped = (line: string): string =>
  line
    .replace(/[\\`*_{}[\]()#+\-.!|<>~&:/]/g, "\\$&")
    .replaceAll("@", "@\u200b")
    .replace(/^(\s*)(\d+)(?=[.)])/, "$1\u200b$2")

const mattermost = (message: Message) => ({
  text: fitting([titleOf(message), "", ...bodyOf(message)], LENGTH_MAX.mattermost, markdownText)
})

/** No mention is made, and no preview of an address. */
const SUPPRESS_EMBEDS = 4

const discord = (message: Message) => ({
  content: fitting([titleOf(message), "", ...bodyOf(message)], LENGTH_MAX.discord, markdownText),
  allowed_mentions: { parse: [] },
  flags: SUPPRESS_EMBEDS
})

/** Runs of text know no Markdown, which blocks of text do. */
const run = (text: string, more: Readonly<Record<string, unknown>> = {}) => ({
  type: "RichTextBlock",
  spacing: "Small",
  inlines: [{ type: "TextRun", text: text.replaceAll("@", "@\u200b"), ...more }]
})

const COLOURS = { info: "Default", warning: "Warning", critical: "Attention" } as const

const teams = (message: Message) => ({
  type: "message",
  attachments: [
    {
      contentType: "application/vnd.microsoft.card.adaptive",
      content: {
        $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
        type: "AdaptiveCard",
        version: "1.4",
        body: [
          run(titleOf(message), { weight: "Bolder", color: COLOURS[severityOf(message.incidents)] }),
          ...textOf(bodyOf(message), LENGTH_MAX.teams)
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => run(line))
        ],
        actions: linksOf(message).map((url) => ({ type: "Action.OpenUrl", title: "Open in NodePulse", url }))
      }
    }
  ]
})

const POSTS: Readonly<Record<Chat, (message: Message) => unknown>> = { slack, mattermost, discord, teams }
