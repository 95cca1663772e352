import { expect, it, vi } from "vitest";

import { frames, rollbarReporter } from "./rollbar.ts";

function reporter(send: typeof fetch) {
  return rollbarReporter({
    endpoint: "http://rollbar/api/1",
    token: "client",
    environment: "test",
    release: "1",
    session: "s",
    span: () => undefined,
    send,
  });
}

it("sends an error once, by the client token, without what is secret in it", () => {
  const send = vi.fn<typeof fetch>(() => Promise.resolve(new Response()));
  const error = new TypeError("no password=hunter2");
  const rollbar = reporter(send);
  rollbar.report(error);
  rollbar.report(error);
  expect(send).toHaveBeenCalledOnce();
  const [url, init] = send.mock.calls[0] ?? [];
  expect(url).toBe("http://rollbar/api/1/item/");
  expect(init?.headers).toMatchObject({ "X-Rollbar-Access-Token": "client" });
  const exception = { class: "TypeError", message: "no password=****" };
  expect(JSON.parse(init?.body as string)).toMatchObject({ data: { body: { trace: { exception } } } });
});

it("stops before it floods the project", () => {
  const send = vi.fn<typeof fetch>(() => Promise.resolve(new Response()));
  const rollbar = reporter(send);
  for (let count = 0; count < 100; count += 1) rollbar.report(new Error("again"));
  expect(send).toHaveBeenCalledTimes(20);
});

it.each([
  ["    at work (http://page/assets/index.js?v=1:10:5)", { method: "work", lineno: 10, colno: 5 }],
  ["    at http://page/assets/index.js:3:4", { lineno: 3, colno: 4 }],
  ["work@http://page/assets/index.js:7:8", { method: "work", lineno: 7, colno: 8 }],
])("reads the frame in %s", (line, expected) => {
  expect(frames(`Error: x\n${line}`)).toEqual([
    { filename: "http://page/assets/index.js", ...expected },
  ]);
});
