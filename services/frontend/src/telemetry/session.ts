import { uuid } from "./uuid.ts";

const KEY = "cruddur.session";

/** An id for what one tab does until it is closed. It names nobody. */
export function sessionId(storage: () => Storage = () => window.sessionStorage): string {
  try {
    const kept = storage().getItem(KEY);
    if (kept) return kept;
    const made = uuid();
    storage().setItem(KEY, made);
    return made;
  } catch {
    // Storage can be forbidden; then the session is as long as the page.
    return uuid();
  }
}
