import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent } from "node:https";

import type { ProxyOptions } from "vite";

type Environment = Record<string, string | undefined>;

/**
 * What server/page/forward.py does for the built page, for the development server: the page's spans
 * go on to a collector that wants to know who sends, by OpenTelemetry's own variables, its requests
 * to BACKEND_UPSTREAM, and its errors to ROLLBAR_UPSTREAM. Undefined where a browser reaches all.
 */
export function forwarding(environ: Environment): Record<string, ProxyOptions> | undefined {
  const origins = (environ.FRONTEND_ORIGINS ?? "").split(",").filter(Boolean);
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, BACKEND_UPSTREAM: backend } = environ;
  const { ROLLBAR_UPSTREAM: rollbar } = environ;
  if (!endpoint && !backend && !rollbar) return undefined;
  return {
    ...(endpoint && {
      "/v1/traces": {
        target: endpoint,
        changeOrigin: true,
        headers: headers(environ.OTEL_EXPORTER_OTLP_HEADERS ?? ""),
        bypass: (request) => (isOwn(request, origins) ? undefined : false),
        ...(endpoint.startsWith("https:") ? { agent: new Agent(shown(environ)) } : {}),
      },
    }),
    ...(backend && {
      "^/(api/|rollbar/test$)": {
        target: backend,
        xfwd: true,
        headers: asPublished(environ.PAGE_URL),
        bypass: (request) =>
          request.method === "GET" || isOwn(request, origins) ? undefined : false,
      },
    }),
    ...(rollbar && {
      "/rollbar/item/": {
        target: rollbar.replace(/\/+$/, ""),
        changeOrigin: true,
        rewrite: (path) => path.replace(/^\/rollbar/, ""),
        // The emulator answers no page but those that it knows; this server was asked by its own.
        configure: (proxy) => proxy.on("proxyReq", (request) => request.removeHeader("origin")),
        bypass: (request) => (isOwn(request, origins) ? undefined : false),
      },
    }),
  };
}

/** What the backend tells of a request is to be an address that people can open. */
function asPublished(page: string | undefined): Record<string, string> {
  if (!page) return {};
  const { hostname, port, protocol } = new URL(page);
  return {
    host: `${hostname}:${port || (protocol === "https:" ? "443" : "80")}`,
    "x-forwarded-proto": protocol.replace(":", ""),
  };
}

/** Another site's page in the same browser may not fill the user's traces. */
export function isOwn(
  request: Pick<IncomingMessage, "method" | "headers">,
  origins: readonly string[] = [],
): boolean {
  const { origin, host } = request.headers;
  const own = !origin || origin === `http://${host ?? ""}` || origins.includes(origin);
  return request.method === "POST" && own;
}

/** `name=value,name=value`, the values percent-encoded. */
function headers(pairs: string): Record<string, string> {
  return Object.fromEntries(
    pairs
      .split(",")
      .filter(Boolean)
      .map((pair) => {
        const at = pair.indexOf("=");
        return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())];
      }),
  );
}

function shown(environ: Environment): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  const files = { ca: "CERTIFICATE", cert: "CLIENT_CERTIFICATE", key: "CLIENT_KEY" };
  return Object.fromEntries(
    Object.entries(files).flatMap(([option, name]) => {
      const file = environ[`OTEL_EXPORTER_OTLP_${name}`];
      return file ? [[option, readFileSync(file)]] : [];
    }),
  );
}
