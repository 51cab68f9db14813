// Adds up what the test runs reported as JSON, and closes with one line that says it. Runs on any Node.
import { readFileSync } from "node:fs"

const total = { passed: 0, failed: 0, skipped: 0 }
for (const file of process.argv.slice(2)) {
  try {
    const results = JSON.parse(readFileSync(file, "utf8"))
    total.passed += results.numPassedTests
    total.failed += results.numFailedTests
    total.skipped += results.numPendingTests + results.numTodoTests
    // A file that could not even be loaded has no tests to count.
    for (const suite of results.testResults) {
      if (suite.status === "failed" && suite.assertionResults.length === 0) total.failed++
    }
  } catch (error) {
    process.stderr.write(`${file}: ${error.message}\n`)
    total.failed++
  }
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ""
process.stdout.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`)
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1)
