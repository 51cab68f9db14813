// Before the first paint, so that a chosen theme does not flash. The rest is in src/Theme.ts.
try {
  const chosen = localStorage.getItem("nodepulse-theme")
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen
} catch {}
