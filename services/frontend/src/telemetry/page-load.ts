import type { Span, Tracer } from "@opentelemetry/api";
import { context, trace } from "@opentelemetry/api";

import type { Tasks } from "./tasks.ts";

const STEPS = [
  "domainLookupEnd",
  "connectEnd",
  "responseStart",
  "responseEnd",
  "domInteractive",
  "domContentLoadedEventEnd",
  "loadEventEnd",
] as const;

/**
 * The span of the document's load, from the navigation's start: the parent of the first requests.
 * The instrumentation that there is for this makes its span after the load, when they are gone.
 */
export function tracePageLoad(tracer: Tracer, tasks: Tasks): Span {
  const span = tasks.begin(tracer, "document load", {}, performance.timeOrigin);
  const loaded = tasks.hold("load");
  const measure = (): void => {
    const [timing] = performance.getEntriesByType("navigation");
    if (timing instanceof PerformanceNavigationTiming) {
      const inDocument = trace.setSpan(context.active(), span);
      tracer
        .startSpan("document fetch", { startTime: at(timing.fetchStart) }, inDocument)
        .end(at(timing.responseEnd));
      for (const step of STEPS) if (timing[step] > 0) span.addEvent(step, at(timing[step]));
      span.setAttribute("app.navigation.type", timing.type);
    }
    loaded();
  };
  // loadEventEnd is known once the event is over.
  const soon = (): void => void setTimeout(measure);
  if (document.readyState === "complete") soon();
  else window.addEventListener("load", soon, { once: true });
  return span;
}

function at(milliseconds: number): number {
  return performance.timeOrigin + milliseconds;
}
