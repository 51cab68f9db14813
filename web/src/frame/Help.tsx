/** The keys, and what the numbers mean in one sentence each. */
import { Dialog } from "../parts/Dialog.tsx"

const KEYS: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
  [["/"], "Search"],
  [["c"], "Rank by CPU (every ranking: the first letter of its name)"],
  [["m"], "Rank by memory"],
  [["1", "2", "3", "4"], "1 h, 6 h, 24 h, 7 d"],
  [["↑", "↓"], "Next or previous row"],
  [["Enter"], "Open the row"],
  [["x"], "Tick the server's row, to compare two to eight of them"],
  [["Esc"], "Close the panel, go back to the table, leave the moment, clear the span, clear the search"],
  [["z"], "Zoom into the marked span"],
  [["d"], "What changed, against the time before"],
  [["⌫"], "Back out of the zoom"],
  [["0"], "Back to now"],
  [["g"], "All servers"],
  [["w"], "Watch: what fires, and the rules"],
  [["p"], "Pipeline"],
  [["←", "→"], "Looking at a moment: the scrape before or after it"],
  [["←", "→", "Enter"], "On a chart: move the crosshair, look at that moment; with Shift: mark a span"],
  [["?"], "This help"]
]

export const Help = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog title="Keyboard and numbers" onClose={onClose}>
    <table className="keys">
      <tbody>
        {KEYS.map(([keys, what]) => (
          <tr key={what}>
            <th scope="row">
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </th>
            <td>{what}</td>
          </tr>
        ))}
      </tbody>
    </table>
    <dl className="meaning">
      <dt>Coverage</dt>
      <dd>How much of the time range was observed. Hatched parts of a chart were not: nothing is known about them.</dd>
      <dt>100 % of a core</dt>
      <dd>
        One core kept busy: a machine with 8 cores has 800 %. As a share of the machine, all cores together are 100 %.
      </dd>
      <dt>Unaccounted</dt>
      <dd>What the host used minus all groups: short-lived processes and the kernel itself.</dd>
      <dt>Order</dt>
      <dd>
        CPU by the time used in the time range, memory by its peak, ties by name. Rows stay in place while the pointer
        is over them.
      </dd>
    </dl>
  </Dialog>
)
