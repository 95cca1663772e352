import { context, ROOT_CONTEXT, trace, type Context, type Span, type Tracer } from "@opentelemetry/api";
import type { ReadableSpan, Span as SdkSpan, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import { StackContextManager } from "@opentelemetry/sdk-trace-web";

/** A task without a request ends this long after its beginning: React has rendered by then. */
export const IDLE_MS = 60;
/** And in any case after this, also when a request of it hangs. */
export const LONGEST_MS = 15_000;

interface Task {
  readonly span: Span;
  readonly context: Context;
  readonly held: Set<string>;
  last: number | undefined;
  idle: ReturnType<typeof setTimeout> | undefined;
  limit: ReturnType<typeof setTimeout>;
}

/**
 * What the user waits for: the page's load, a click. While a task is open it is the parent of every
 * span that has no other, so that a click and all requests it leads to are one trace.
 *
 * The web SDK follows only synchronous calls. Zone.js would follow promises too, at 13 kB and with
 * every `await` compiled away; a user does one thing at a time, so one open task is enough.
 */
export class Tasks implements SpanProcessor {
  private current: Task | undefined;

  /** Open a task; the one before ends. Held open by `hold` or a request, else it ends when idle. */
  begin(tracer: Tracer, name: string, attributes: Record<string, string>, startTime?: number): Span {
    this.finish();
    const span = tracer.startSpan(
      name,
      { attributes, ...(startTime === undefined ? {} : { startTime }) },
      ROOT_CONTEXT,
    );
    const task: Task = {
      span,
      context: trace.setSpan(ROOT_CONTEXT, span),
      held: new Set(),
      last: undefined,
      idle: undefined,
      limit: setTimeout(() => this.finish(task), LONGEST_MS),
    };
    this.current = task;
    this.rest(task);
    return span;
  }

  /** Keep the open task open until the returned function is called. */
  hold(reason: string): () => void {
    const task = this.current;
    if (!task) return () => undefined;
    task.held.add(reason);
    return () => this.release(task, reason, Date.now());
  }

  active(): Context | undefined {
    return this.current?.context;
  }

  /** End the open task now. */
  finish(task = this.current): void {
    if (!task || task !== this.current) return;
    this.current = undefined;
    clearTimeout(task.idle);
    clearTimeout(task.limit);
    task.span.end(task.last);
  }

  onStart(span: SdkSpan): void {
    const parent = span.parentSpanContext?.spanId;
    if (this.current && parent === this.current.span.spanContext().spanId) {
      this.current.held.add(span.spanContext().spanId);
    }
  }

  onEnd(span: ReadableSpan): void {
    const task = this.current;
    if (task && span.parentSpanContext?.spanId === task.span.spanContext().spanId) {
      const [seconds, nanos] = span.endTime;
      this.release(task, span.spanContext().spanId, seconds * 1000 + nanos / 1e6);
    }
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    this.finish();
    return Promise.resolve();
  }

  private release(task: Task, reason: string, at: number): void {
    if (!task.held.delete(reason)) return;
    task.last = Math.max(task.last ?? 0, at);
    this.rest(task);
  }

  private rest(task: Task): void {
    clearTimeout(task.idle);
    task.idle = setTimeout(() => {
      if (task.held.size === 0) this.finish(task);
    }, IDLE_MS);
  }
}

/** The SDK's synchronous contexts, and beneath them the open task. */
export class TaskContextManager extends StackContextManager {
  constructor(private readonly tasks: Tasks) {
    super();
  }

  override active(): Context {
    const active = super.active();
    return active === ROOT_CONTEXT ? (this.tasks.active() ?? active) : active;
  }
}

/** The span that an error now belongs to. */
export function activeSpan(): Span | undefined {
  return trace.getSpan(context.active());
}
