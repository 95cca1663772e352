/** A message as the backend tells it. `display_name`, `picture`: null when profiles are away. */
export interface Activity {
  readonly uuid: string;
  readonly handle: string;
  readonly display_name: string | null;
  readonly picture: string | null;
  readonly message: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly likes_count: number;
  readonly reposts_count: number;
  readonly replies_count: number;
  readonly replies?: readonly Activity[];
}

export interface NewActivity {
  readonly handle: string;
  readonly message: string;
  readonly ttl: string;
}

/** What the backend refused, by field, in its own words. */
export class InvalidFieldsError extends Error {
  override readonly name = "InvalidFieldsError";
  constructor(readonly fields: Readonly<Record<string, string>>) {
    super("the backend refused what was sent");
  }
}

/** An answer that is no success. `status`: 0 where there was no answer at all. */
export class BackendError extends Error {
  override readonly name = "BackendError";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 10_000;

/** Cruddur's API. Every call rejects with InvalidFieldsError or BackendError, an aborted one with
 * the signal's reason. */
export interface Api {
  readonly home: (signal?: AbortSignal) => Promise<Activity[]>;
  readonly person: (handle: string, signal?: AbortSignal) => Promise<Activity[]>;
  readonly search: (term: string, signal?: AbortSignal) => Promise<Activity[]>;
  readonly post: (activity: NewActivity) => Promise<Activity>;
  readonly fail: () => Promise<never>;
}

export function createApi(backend: string): Api {
  async function ask<T>(path: string, init: RequestInit = {}, signal?: AbortSignal): Promise<T> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const failed = (status: number, why: string): unknown => {
      if (signal?.aborted) return signal.reason;
      const late = `The backend did not answer within ${TIMEOUT_MS / 1000} seconds.`;
      return new BackendError(status, timeout.aborted ? late : why);
    };
    let response: Response;
    try {
      response = await fetch(`${backend}${path}`, {
        ...init,
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
    } catch {
      throw failed(0, "The backend cannot be reached.");
    }
    if (!response.ok) throw await refusal(response);
    try {
      return (await response.json()) as T;
    } catch {
      // A proxy's page, or an answer that breaks off.
      throw failed(response.status, "The backend's answer cannot be read.");
    }
  }

  return {
    home: (signal) => ask("/api/activities/home", {}, signal),
    person: (handle, signal) =>
      ask(`/api/activities/@${encodeURIComponent(handle)}`, {}, signal),
    search: (term, signal) =>
      ask(`/api/activities/search?${new URLSearchParams({ term })}`, {}, signal),
    post: (activity) =>
      ask("/api/activities", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(activity),
      }),
    fail: () => ask("/api/debug/error"),
  };
}

async function refusal(response: Response): Promise<Error> {
  const body: unknown = await response.json().catch(() => null);
  if (isRecord(body) && isRecord(body.fields)) {
    return new InvalidFieldsError(body.fields as Record<string, string>);
  }
  const told = isRecord(body) && typeof body.message === "string" ? body.message : "";
  return new BackendError(
    response.status,
    told || `The backend answered with status ${response.status}.`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
