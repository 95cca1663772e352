import { expect, it } from "vitest";

import { go, viewOf } from "./location.ts";
import { distance } from "./parts/times.ts";
import { route } from "./telemetry/routes.ts";

it.each([
  ["/", { kind: "home" }],
  ["/@worf", { kind: "person", handle: "worf" }],
  ["/search?term=a+b", { kind: "search", term: "a b" }],
  ["/search", { kind: "search", term: "" }],
  ["/@no-such-handle", { kind: "missing", path: "/@no-such-handle" }],
  ["/elsewhere", { kind: "missing", path: "/elsewhere" }],
])("%s", (address, view) => {
  expect(viewOf(address)).toEqual(view);
});

it("goes once to where it is already", () => {
  window.scrollTo = () => undefined;
  const before = window.history.length;
  for (const address of ["/@worf", "/@worf", `${window.location.origin}/@worf`]) go(address);
  expect(window.history.length).toBe(before + 1);
});

it.each([
  ["http://b/api/activities/@worf?x=1", "/api/activities/@{handle}"],
  ["http://b/api/activities/0f8fad5b-d9cb-469f-a165-70867728950e", "/api/activities/{uuid}"],
  ["/search?term=x", "/search"],
])("%s is counted as %s", (url, expected) => {
  expect(route(url)).toBe(expected);
});

it.each([
  [-30, "now"],
  [-3 * 3600, "3 hr. ago"],
  // What was posted for seven days expires in seven.
  [7 * 86_400 - 10, "in 7 days"],
  [6 * 86_400 + 10, "in 7 days"],
])("%i seconds from now: %s", (seconds, expected) => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(distance(new Date(now + seconds * 1000).toISOString(), now)).toBe(expected);
});
