import { describe, expect, it } from "vitest";

import { readSettings } from "./settings.ts";

describe("where requests go", () => {
  it.each([
    ["the backend that is named", "http://127.0.0.1:4567/", "http://127.0.0.1:4567"],
    ["where the page came from", "", window.location.origin],
  ])("%s", (_, backend, expected) => {
    expect(readSettings({ backend }).backend).toBe(expected);
  });
});

describe("where spans go", () => {
  it.each([
    ["the collector that is named", "http://127.0.0.1:4318/", "http://127.0.0.1:4318"],
    ["where the page came from", "", window.location.origin],
    ["nowhere", null, null],
  ])("%s", (_, collector, expected) => {
    expect(readSettings({ collector }).collector).toBe(expected);
  });
});
