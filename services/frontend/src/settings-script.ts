/** The text of /config.js, made of the same variables by the development server. */
export function settingsScript(environ: Record<string, string | undefined>): string {
  return `window.CRUDDUR = ${JSON.stringify({
    // Empty: the development server itself, which sends on (forwarding.ts).
    backend: environ.BACKEND_UPSTREAM ? "" : (environ.BACKEND_URL ?? "http://127.0.0.1:8000"),
    collector: environ.OTEL_EXPORTER_OTLP_ENDPOINT
      ? ""
      : (environ.COLLECTOR_URL ?? "http://127.0.0.1:4318"),
    release: environ.RELEASE ?? "unknown",
    environment: environ.DEPLOYMENT_ENVIRONMENT ?? "local",
    debug: environ.DEBUG_ROUTES === "true",
    rollbar: environ.ROLLBAR_CLIENT_TOKEN
      ? {
          endpoint: environ.ROLLBAR_UPSTREAM ? "/rollbar/" : environ.ROLLBAR_ENDPOINT,
          token: environ.ROLLBAR_CLIENT_TOKEN,
        }
      : null,
  })};\n`;
}
