import { SpanKind } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { WebTracerProvider } from "@opentelemetry/sdk-trace-web";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { OpenRequests } from "./open-requests.ts";

const requests = new OpenRequests();
const ended = new InMemorySpanExporter();
const provider = new WebTracerProvider({ spanProcessors: [requests, new SimpleSpanProcessor(ended)] });
const tracer = provider.getTracer("test");
const request = (name: string) => tracer.startSpan(name, { kind: SpanKind.CLIENT });

beforeEach(() => vi.useFakeTimers());

afterEach(() => {
  requests.endAll();
  ended.reset();
  vi.useRealTimers();
});

it("ends what is answered at its answer, and leaves what is not", () => {
  const first = request("answered");
  const second = request("waiting");
  requests.answered(first);
  const answer = Date.now();
  vi.advanceTimersByTime(250);
  requests.endAnswered();
  expect(ended.getFinishedSpans().map(({ name }) => name)).toEqual(["answered"]);
  const [seconds = 0, nanos = 0] = ended.getFinishedSpans()[0]?.endTime ?? [];
  expect(seconds * 1000 + nanos / 1e6).toBeCloseTo(answer, 0);
  second.end();
  expect(ended.getFinishedSpans()).toHaveLength(2);
});

it("ends everything when the page goes, and says what had no answer", () => {
  requests.answered(request("answered"));
  request("waiting");
  tracer.startSpan("no request");
  requests.endAll();
  expect(ended.getFinishedSpans().map(({ name, attributes }) => [name, attributes])).toEqual([
    ["answered", {}],
    ["waiting", { "app.left_unanswered": true }],
  ]);
});

it("forgets what ended by itself", () => {
  const one = request("done");
  one.end();
  requests.answered(one);
  requests.endAll();
  expect(ended.getFinishedSpans()).toHaveLength(1);
});
