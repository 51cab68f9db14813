/** The keys, and what the numbers mean in one sentence each. */
import { Dialog } from "./Dialog.tsx"

const KEYS: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
  [["/"], "Search"],
  [["c"], "Rank by CPU (each ranking has the first letter of its name)"],
  [["m"], "Rank by memory"],
  [["1", "2", "3", "4"], "1 h, 6 h, 24 h, 7 d"],
  [["↑", "↓"], "Another row"],
  [["Enter"], "Open it"],
  [["Esc"], "Close, clear the brush, clear the search"],
  [["g"], "All servers"],
  [["p"], "Pipeline"],
  [["←", "→"], "On a chart: step through it; with Shift: mark a window"],
  [["?"], "This"]
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
      <dd>How much of the window was seen. Hatched parts of a chart were not: nothing is said about them.</dd>
      <dt>100 % of a core</dt>
      <dd>One core kept busy; a machine of 8 cores has 800 %. Of the machine, all cores together are 100 %.</dd>
      <dt>Unaccounted</dt>
      <dd>What the host was busy with beyond all groups: processes that lived shortly, and the kernel itself.</dd>
      <dt>Order</dt>
      <dd>
        CPU by the time used in the window, memory by its peak, ties by name. Rows stay in place while the pointer is on
        them.
      </dd>
    </dl>
  </Dialog>
)
