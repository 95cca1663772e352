import { useSyncExternalStore } from "react";

/** What the address bar asks for. */
export type View =
  | { readonly kind: "home" }
  | { readonly kind: "person"; readonly handle: string }
  | { readonly kind: "search"; readonly term: string }
  | { readonly kind: "missing"; readonly path: string };

export function viewOf(address: string): View {
  const { pathname, searchParams } = new URL(address, "http://page");
  if (pathname === "/") return { kind: "home" };
  if (pathname === "/search") return { kind: "search", term: searchParams.get("term") ?? "" };
  const handle = /^\/@([A-Za-z0-9_]{1,32})$/.exec(pathname)?.[1];
  return handle ? { kind: "person", handle } : { kind: "missing", path: pathname };
}

const MOVED = "cruddur:moved";

export function go(address: string): void {
  // Once more to where one is already is no step that Back would have to undo.
  const here = new URL(address, window.location.href).href === window.location.href;
  if (!here) window.history.pushState(null, "", address);
  window.dispatchEvent(new Event(MOVED));
  window.scrollTo(0, 0);
}

/** The address without its origin; a component that uses it is drawn anew when it changes. */
export function useAddress(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname + window.location.search);
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  window.addEventListener(MOVED, changed);
  return () => {
    window.removeEventListener("popstate", changed);
    window.removeEventListener(MOVED, changed);
  };
}
