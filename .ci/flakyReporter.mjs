// Names the tests that passed only when they were tried again, so that a retry hides nothing.

export default class FlakyReporter {
  onTestRunEnd(modules) {
    const flaky = modules.flatMap((module) =>
      [...module.children.allTests()].filter((test) => test.diagnostic()?.flaky === true).map((test) => test.fullName)
    )
    if (flaky.length > 0)
      process.stdout.write(`FLAKY, passed when tried again:\n${flaky.map((name) => `  ${name}\n`).join("")}`)
  }
}
