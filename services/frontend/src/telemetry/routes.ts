/** A path with what varies named, so that spans can be counted: `/api/activities/@{handle}`. */
export function route(url: string): string {
  const path = new URL(url, window.location.href).pathname;
  return path
    .replace(/@[^/]+/, "@{handle}")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/i, "{uuid}");
}
