import { SpanStatusCode, type Span } from "@opentelemetry/api";

import { clean } from "./cleaning.ts";
import { uuid as newUuid } from "./uuid.ts";

export interface Frame {
  readonly filename: string;
  readonly lineno?: number;
  readonly colno?: number;
  readonly method?: string;
}

export interface Reporter {
  /** Send an error once, with the trace that is open now. */
  readonly report: (error: unknown) => void;
}

interface Options {
  readonly endpoint: string;
  readonly token: string;
  readonly environment: string;
  readonly release: string;
  readonly session: string;
  readonly span: () => Span | undefined;
  /** fetch as it was before it was instrumented: the report is no part of the trace. */
  readonly send: typeof fetch;
}

/** An error in a render loop must not spend the project's quota. */
const MOST_A_PAGE = 20;
const LONGEST_MESSAGE = 2000;

/**
 * Errors to Rollbar's item API, by the project's client token. Rollbar's own package is 32 kB
 * gzipped and wraps console, fetch and history; this is what the trace needs of it.
 */
export function rollbarReporter(options: Options): Reporter {
  const seen = new WeakSet<object>();
  let sent = 0;
  return {
    report(thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (seen.has(error) || sent >= MOST_A_PAGE) return;
      seen.add(error);
      sent += 1;
      const uuid = newUuid();
      const span = options.span();
      span?.recordException(error);
      span?.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
      span?.setAttribute("rollbar.uuid", uuid);
      options
        .send(`${options.endpoint.replace(/\/?$/, "/")}item/`, {
          method: "POST",
          headers: { "Content-Type": "application/json", "X-Rollbar-Access-Token": options.token },
          body: JSON.stringify({ data: item(error, uuid, span, options) }),
          keepalive: true,
          // A workspace's port wants its login; no other origin gets any.
          credentials: "same-origin",
        })
        .catch(() => console.warn("Rollbar cannot be reached; the error is in the trace only."));
    },
  };
}

function item(error: Error, uuid: string, span: Span | undefined, options: Options): object {
  const context = span?.spanContext();
  return {
    uuid,
    environment: options.environment,
    code_version: options.release.slice(0, 40),
    level: "error",
    timestamp: Math.round(Date.now() / 1000),
    platform: "browser",
    language: "javascript",
    framework: "react",
    body: {
      trace: {
        frames: frames(error.stack ?? ""),
        exception: { class: error.name, message: clean(error.message).slice(0, LONGEST_MESSAGE) },
      },
    },
    request: { url: clean(window.location.href), user_ip: "$remote_ip_anonymize" },
    client: { javascript: { browser: navigator.userAgent, code_version: options.release } },
    custom: {
      ...(context ? { trace_id: context.traceId, span_id: context.spanId } : {}),
      session: options.session,
    },
    notifier: { name: "frontend-react" },
  };
}

/** The stack's frames, outermost first, as Rollbar wants them. */
export function frames(stack: string): Frame[] {
  const found: Frame[] = [];
  for (const line of stack.split("\n")) {
    // Chrome: "    at name (url:1:2)" or "    at url:1:2"; Firefox and Safari: "name@url:1:2".
    const match =
      /^\s*at (?:(.*?) \()?(.+?):(\d+):(\d+)\)?$/.exec(line) ?? /^(.*?)@(.+?):(\d+):(\d+)$/.exec(line);
    const [, method, filename, lineno, colno] = match ?? [];
    if (!filename) continue;
    found.push({
      filename: clean(filename),
      lineno: Number(lineno),
      colno: Number(colno),
      ...(method ? { method } : {}),
    });
  }
  return found.length > 0 ? found.toReversed() : [{ filename: "(unknown)" }];
}
