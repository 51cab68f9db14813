/** A command to copy. */
import { copyText } from "./Clipboard.ts"
import { useSaid } from "./Said.ts"

export const Command = ({ text }: { readonly text: string }) => {
  const [said, say] = useSaid()
  const copy = async () => {
    if (!(await copyText(text))) return
    say("Copied")
  }
  return (
    <div className="command">
      <pre>
        <code>{text}</code>
      </pre>
      <button type="button" className="button small" onClick={() => void copy()}>
        {said === "" ? "Copy" : said}
      </button>
    </div>
  )
}
