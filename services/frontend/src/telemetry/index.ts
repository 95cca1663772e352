import { context, diag, propagation, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { FetchInstrumentation } from "@opentelemetry/instrumentation-fetch";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, WebTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-web";

import type { Settings } from "../settings.ts";
import { CleaningExporter } from "./cleaning.ts";
import { traceInteractions } from "./interactions.ts";
import { OpenRequests } from "./open-requests.ts";
import { tracePageLoad } from "./page-load.ts";
import { rollbarReporter, type Reporter } from "./rollbar.ts";
import { route } from "./routes.ts";
import { sessionId } from "./session.ts";
import { activeSpan, TaskContextManager, Tasks } from "./tasks.ts";
import { traceVitals } from "./vitals.ts";

const SERVICE = "frontend-react";
const NOBODY: Reporter = { report: () => undefined };

/**
 * Begin to trace this page and to report its errors. Returns what takes errors that React caught.
 *
 * Never throws: without telemetry the page is the same page.
 */
export function startTelemetry(settings: Settings): Reporter {
  const plainFetch = window.fetch.bind(window);
  const session = sessionId();
  try {
    if (settings.collector) startTracing(settings, settings.collector, session);
  } catch (failed) {
    console.warn("This page is not traced.", failed);
  }
  const reporter = settings.rollbar
    ? rollbarReporter({
        ...settings.rollbar,
        environment: settings.environment,
        release: settings.release,
        session,
        span: activeSpan,
        send: plainFetch,
      })
    : NOBODY;
  window.addEventListener("error", ({ error }: { error: unknown }) => {
    // Without one it is a stranger's script, of which the browser tells nothing.
    if (error) reporter.report(error);
  });
  window.addEventListener("unhandledrejection", ({ reason }) => reporter.report(reason));
  return reporter;
}

function startTracing(settings: Settings, collector: string, session: string): void {
  // What the exporter cannot deliver is no error of the page's.
  diag.disable();
  const traces = `${collector}/v1/traces`;
  const tasks = new Tasks();
  const requests = new OpenRequests();
  const provider = new WebTracerProvider({
    resource: resourceFromAttributes({
      "service.name": SERVICE,
      "service.version": settings.release,
      "deployment.environment": settings.environment,
      "telemetry.sdk.language": "webjs",
      "user_agent.original": navigator.userAgent,
      "browser.language": navigator.language,
    }),
    spanProcessors: [
      inSession(session),
      tasks,
      requests,
      new BatchSpanProcessor(
        new CleaningExporter(
          new OTLPTraceExporter({ url: traces, timeoutMillis: 5000 }),
        ),
        // A span is on its way within half a second; a collector that is away costs 512 spans.
        { scheduledDelayMillis: 500, maxQueueSize: 512, maxExportBatchSize: 64 },
      ),
    ],
  });
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  context.setGlobalContextManager(new TaskContextManager(tasks).enable());

  const tracer = trace.getTracer("cruddur.page", settings.release);
  const load = tracePageLoad(tracer, tasks);
  traceInteractions(tracer, tasks);
  traceVitals(tracer, load);
  new FetchInstrumentation({
    propagateTraceHeaderCorsUrls: [beginsWith(settings.backend)],
    // Only these: the backend may be at the same address.
    ignoreUrls: [beginsWith(traces)],
    clearTimingResources: true,
    applyCustomAttributesOnSpan: (span) => requests.answered(span),
    requestHook: (span) => {
      const { attributes } = span as unknown as { attributes: Record<string, unknown> };
      const template = route(String(attributes["url.full"]));
      span.updateName(`${String(attributes["http.request.method"])} ${template}`);
      span.setAttribute("url.template", template);
    },
  }).setTracerProvider(provider);

  // What is exported now leaves by a request that outlives the page (keepalive).
  const flush = (): void => {
    tasks.finish();
    provider.forceFlush().catch(() => undefined);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "hidden") return;
    // Only another tab, maybe: what is not answered yet may go on.
    requests.endAnswered();
    flush();
  });
  window.addEventListener("pagehide", () => {
    requests.endAll();
    flush();
  });
}

function inSession(session: string): SpanProcessor {
  return {
    onStart(span) {
      span.setAttribute("session.id", session);
      span.setAttribute("app.page", route(window.location.href));
    },
    onEnd: () => undefined,
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

function beginsWith(url: string): RegExp {
  return new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(/|$)`);
}
