import { trace, type Span, type Tracer } from "@opentelemetry/api";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { onCLS, onFCP, onINP, onLCP, onTTFB, type Metric } from "web-vitals";

/** A span without duration for each web vital, in the trace of the page's load. */
export function traceVitals(tracer: Tracer, load: Span): void {
  const parent = trace.setSpan(ROOT_CONTEXT, load);
  const report = ({ name, value, rating, id, navigationType }: Metric): void =>
    tracer
      .startSpan(
        `web vital ${name}`,
        {
          attributes: {
            "browser.web_vital.name": name.toLowerCase(),
            "browser.web_vital.value": value,
            "browser.web_vital.id": id,
            "app.web_vital.rating": rating,
            "app.navigation.type": navigationType,
          },
        },
        parent,
      )
      .end();
  for (const observe of [onCLS, onFCP, onINP, onLCP, onTTFB]) observe(report);
}
