import { SpanKind, type Span } from "@opentelemetry/api";
import type { ReadableSpan, Span as SdkSpan, SpanProcessor } from "@opentelemetry/sdk-trace-base";

/**
 * The requests whose spans are open. The fetch instrumentation ends a span 300 ms after its answer,
 * to look for the timing of its resource; a page that is left sooner would take the span along, and
 * with it the parent of what the backend did.
 */
export class OpenRequests implements SpanProcessor {
  private readonly open = new Map<string, Span>();
  private readonly answers = new Map<string, number>();

  /** To be called at a request's answer, or its failure. */
  answered(span: Span): void {
    const { spanId } = span.spanContext();
    if (this.open.has(spanId)) this.answers.set(spanId, Date.now());
  }

  /** End what is answered, at the time of its answer. */
  endAnswered(): void {
    for (const [id, at] of this.answers) this.open.get(id)?.end(at);
  }

  /** End everything: the page will not be there for the answers. */
  endAll(): void {
    this.endAnswered();
    for (const span of this.open.values()) span.setAttribute("app.left_unanswered", true).end();
  }

  onStart(span: SdkSpan): void {
    if (span.kind === SpanKind.CLIENT) this.open.set(span.spanContext().spanId, span);
  }

  onEnd(span: ReadableSpan): void {
    const { spanId } = span.spanContext();
    this.open.delete(spanId);
    this.answers.delete(spanId);
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    this.open.clear();
    this.answers.clear();
    return Promise.resolve();
  }
}
