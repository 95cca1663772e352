import { describe, expect, it } from "vitest";

import { forwarding, isOwn } from "./forwarding.ts";
import { settingsScript } from "./settings-script.ts";

const RESTRICTED = {
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318",
  OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc,x-a=b%3D",
};

describe("what the development server sends on", () => {
  it("nothing where the collector takes spans from browsers", () => {
    expect(forwarding({})).toBeUndefined();
    expect(settingsScript({})).toContain('"collector":"http://127.0.0.1:4318"');
  });

  it("shows the token, and tells the page of no collector", () => {
    expect(forwarding(RESTRICTED)?.["/v1/traces"]?.headers).toEqual({
      authorization: "Bearer abc",
      "x-a": "b=",
    });
    expect(settingsScript(RESTRICTED)).toContain('"collector":""');
  });

  it("requests to the backend, where it has one to send them to", () => {
    const environ = { BACKEND_UPSTREAM: "http://127.0.0.1:4567" };
    expect(forwarding(environ)?.["^/(api/|rollbar/test$)"]?.target).toBe("http://127.0.0.1:4567");
    expect(settingsScript(environ)).toContain('"backend":""');
  });

  it("what the backend tells of has the page's public address", () => {
    const environ = { BACKEND_UPSTREAM: "http://a", PAGE_URL: "https://3000-x.ws.test" };
    expect(forwarding(environ)?.["^/(api/|rollbar/test$)"]?.headers).toEqual({
      host: "3000-x.ws.test:443",
      "x-forwarded-proto": "https",
    });
  });

  it("errors, to the item API", () => {
    const environ = { ROLLBAR_UPSTREAM: "http://127.0.0.1:4584/api/1/", ROLLBAR_CLIENT_TOKEN: "t" };
    const way = forwarding(environ)?.["/rollbar/item/"];
    expect([way?.target, way?.rewrite?.("/rollbar/item/")]).toEqual([
      "http://127.0.0.1:4584/api/1",
      "/item/",
    ]);
    expect(settingsScript(environ)).toContain('"endpoint":"/rollbar/"');
  });

  it.each([
    ["the page's own", "POST", "http://127.0.0.1:3000", true],
    ["the page's own under its name in a workspace", "POST", "https://3000-x.ws.test", true],
    ["a program's", "POST", undefined, true],
    ["another site's", "POST", "http://attacker.example", false],
    ["none that only asks", "GET", undefined, false],
  ])("%s", (_, method, origin, passed) => {
    const headers = { host: "127.0.0.1:3000", ...(origin ? { origin } : {}) };
    expect(isOwn({ method, headers }, ["https://3000-x.ws.test"])).toBe(passed);
  });
});
