// Before the page's own scripts: when can somebody use it? The feed is there, a click on a button
// was handled, and no task of more than 50 ms is going on. `interactive` and, long tasks
// included, `quiet`: ms since the navigation.
(() => {
  const long = [];
  new PerformanceObserver((list) => long.push(...list.getEntries())).observe({ type: "longtask" });

  const feed = new Promise((there) => {
    new MutationObserver((_, self) => {
      if (!document.querySelector("article")) return;
      self.disconnect();
      there();
    }).observe(document, { childList: true, subtree: true });
  });

  const theme = () => document.documentElement.dataset.theme;
  window.interactive = feed.then(async () => {
    const before = theme();
    document.querySelector("[data-action='switch theme']").click();
    // The next task begins when nothing else is going on.
    await new Promise((next) => setTimeout(next));
    if (theme() === before) throw new Error("the click was not handled");
    return performance.now();
  });
  // What is told of long tasks comes after they ended; one that began before counts to its end.
  window.quiet = window.interactive.then(async (then) => {
    await new Promise((next) => setTimeout(next, 100));
    const ends = long.map(({ startTime, duration }) => (startTime < then ? startTime + duration : 0));
    return Math.max(then, ...ends);
  });
})();
