import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent } from "node:https";

import type { ProxyOptions } from "vite";

type Environment = Record<string, string | undefined>;

/**
 * What server/page/forward.py does for the built page, for the development server: the page's spans
 * go on to a collector that wants to know who sends, by OpenTelemetry's own variables. Undefined
 * where there is no endpoint: that collector takes spans from browsers.
 */
export function forwarding(environ: Environment): Record<string, ProxyOptions> | undefined {
  const endpoint = environ.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!endpoint) return undefined;
  return {
    "/v1/traces": {
      target: endpoint,
      changeOrigin: true,
      headers: headers(environ.OTEL_EXPORTER_OTLP_HEADERS ?? ""),
      bypass: (request) => (isOwn(request) ? undefined : false),
      ...(endpoint.startsWith("https:") ? { agent: new Agent(shown(environ)) } : {}),
    },
  };
}

/** Another site's page in the same browser may not fill the user's traces. */
export function isOwn(request: Pick<IncomingMessage, "method" | "headers">): boolean {
  const { origin, host } = request.headers;
  return request.method === "POST" && (!origin || origin === `http://${host ?? ""}`);
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
