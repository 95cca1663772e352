import { afterEach, expect, it, vi } from "vitest";

import { BackendError, createApi, InvalidFieldsError } from "./client.ts";

const api = createApi("http://backend");

function answer(status: number, body: string): void {
  vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(new Response(body, { status }))));
}

const caught = (error: unknown): unknown => error;

afterEach(() => vi.unstubAllGlobals());

it("tells the backend's own words about each field", async () => {
  answer(422, JSON.stringify({ fields: { message: "has to be a text that is not empty" } }));
  const refused = await api.post({ handle: "worf", message: "", ttl: "1-day" }).catch(caught);
  expect(refused).toBeInstanceOf(InvalidFieldsError);
  expect(refused).toMatchObject({ fields: { message: "has to be a text that is not empty" } });
});

it.each([
  [500, '{"message": "it broke"}', "it broke"],
  [502, "<html>", "The backend answered with status 502."],
  [200, "<html>", "The backend's answer cannot be read."],
  [200, '[{"uuid": "68c1', "The backend's answer cannot be read."],
])("makes an error of status %i", async (status, body, message) => {
  answer(status, body);
  const failed = await api.home().catch(caught);
  expect(failed).toBeInstanceOf(BackendError);
  expect(failed).toMatchObject({ status, message });
});

it("says that nobody answers", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("refused")));
  await expect(api.home()).rejects.toThrow("The backend cannot be reached.");
});

it("writes what was searched for so that it arrives whole", async () => {
  answer(200, "[]");
  await api.search("a&b=c d");
  expect(vi.mocked(fetch).mock.calls[0]?.[0]).toBe(
    "http://backend/api/activities/search?term=a%26b%3Dc+d",
  );
});
