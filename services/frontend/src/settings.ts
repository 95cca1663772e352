/** What the page's server says in /config.js. `collector`, `rollbar`: null sends nothing there; an
 * empty `backend` or `collector` is where the page came from, whose server sends on. */
export interface Settings {
  readonly backend: string;
  readonly collector: string | null;
  readonly release: string;
  readonly environment: string;
  readonly debug: boolean;
  readonly rollbar: { readonly endpoint: string; readonly token: string } | null;
}

declare global {
  interface Window {
    CRUDDUR?: Partial<Settings>;
  }
}

/** The settings; without a /config.js the page works and sends no telemetry. */
export function readSettings(given: Partial<Settings> | undefined = window.CRUDDUR): Settings {
  return {
    backend: address(given?.backend) ?? "http://127.0.0.1:8000",
    collector: address(given?.collector),
    release: given?.release ?? "unknown",
    environment: given?.environment ?? "unknown",
    debug: given?.debug ?? false,
    rollbar: given?.rollbar ?? null,
  };
}

function address(given: string | null | undefined): string | null {
  return given === "" ? window.location.origin : (given?.replace(/\/+$/, "") ?? null);
}
