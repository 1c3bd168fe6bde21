// Runs before the first paint, so that a dark room sees no flash: the address wins, then the last choice, then the system.
(() => {
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {} // a browser may forbid the storage; the page lives without
  const theme = asked ?? kept;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
