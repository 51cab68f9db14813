import { conformance } from "../Conformance.ts"
import { processAccounting } from "./ProcessAccounting.ts"

conformance(processAccounting, { fixtures: new URL("./fixtures/", import.meta.url) })
