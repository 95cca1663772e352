import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { WebTracerProvider } from "@opentelemetry/sdk-trace-web";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { IDLE_MS, LONGEST_MS, TaskContextManager, Tasks } from "./tasks.ts";

const tasks = new Tasks();
const ended = new InMemorySpanExporter();
const provider = new WebTracerProvider({ spanProcessors: [tasks, new SimpleSpanProcessor(ended)] });
const tracer = provider.getTracer("test");

beforeEach(() => {
  vi.useFakeTimers();
  context.setGlobalContextManager(new TaskContextManager(tasks).enable());
});

afterEach(() => {
  tasks.finish();
  ended.reset();
  context.disable();
  vi.useRealTimers();
});

it("ends when nothing came of it", () => {
  tasks.begin(tracer, "click", {});
  vi.advanceTimersByTime(IDLE_MS + 1);
  expect(ended.getFinishedSpans().map(({ name }) => name)).toEqual(["click"]);
  expect(context.active()).toBe(ROOT_CONTEXT);
});

it("is the parent of a request that starts after an await, and waits for it", async () => {
  const click = tasks.begin(tracer, "click", {});
  await Promise.resolve();
  const request = tracer.startSpan("GET");
  vi.advanceTimersByTime(IDLE_MS * 10);
  expect(ended.getFinishedSpans()).toEqual([]);
  request.end();
  vi.advanceTimersByTime(IDLE_MS + 1);
  const [inner, outer] = ended.getFinishedSpans();
  expect(inner?.parentSpanContext?.spanId).toBe(click.spanContext().spanId);
  expect(outer?.name).toBe("click");
});

it("ends at the next one's beginning, and that one is another trace", () => {
  const first = tasks.begin(tracer, "first", {});
  const second = tasks.begin(tracer, "second", {});
  expect(ended.getFinishedSpans().map(({ name }) => name)).toEqual(["first"]);
  expect(second.spanContext().traceId).not.toBe(first.spanContext().traceId);
});

it("ends in any case, also when a request hangs", () => {
  tasks.begin(tracer, "click", {});
  tracer.startSpan("hangs");
  vi.advanceTimersByTime(LONGEST_MS + 1);
  expect(ended.getFinishedSpans().map(({ name }) => name)).toEqual(["click"]);
});

it("leaves a span that has a parent of its own alone", () => {
  tasks.begin(tracer, "click", {});
  const own = tracer.startSpan("own", {}, ROOT_CONTEXT);
  const inner = context.with(trace.setSpan(ROOT_CONTEXT, own), () => tracer.startSpan("inner"));
  expect(inner.spanContext().traceId).toBe(own.spanContext().traceId);
});
