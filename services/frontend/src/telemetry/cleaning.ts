import type { Attributes, AttributeValue } from "@opentelemetry/api";
import type { ExportResult } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";

import { isSecretName, mask, MASK } from "./masking.ts";

const URLS = /\b(https?:\/\/)(?:[^\s/?#@"']*@)?([^\s?#"')]+)(?:[?#][^\s"')]*)?/g;

/** The text without secrets, and its URLs without user, query and fragment: what somebody searched
 * for stays in the browser. The collector cleans again; what never left needs no trust. */
export function clean(text: string): string {
  return mask(text.replace(URLS, "$1$2"));
}

export function cleanAttributes(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      isSecretName(name) ? MASK : cleanValue(value),
    ]),
  );
}

function cleanValue(value: AttributeValue | undefined): AttributeValue | undefined {
  if (typeof value === "string") return clean(value);
  if (Array.isArray(value)) {
    return value.map((one) => (typeof one === "string" ? clean(one) : one)) as AttributeValue;
  }
  return value;
}

/** Cleans every span on its way to `next`. */
export class CleaningExporter implements SpanExporter {
  constructor(private readonly next: SpanExporter) {}

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.next.export(spans.map(cleanSpan), done);
  }

  forceFlush(): Promise<void> {
    return this.next.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.next.shutdown();
  }
}

function cleanSpan(span: ReadableSpan): ReadableSpan {
  const events = span.events.map((event) =>
    event.attributes ? { ...event, attributes: cleanAttributes(event.attributes) } : event,
  );
  const status = span.status.message
    ? { ...span.status, message: clean(span.status.message) }
    : span.status;
  // The span itself is the SDK's; only what is read through this one differs.
  return Object.create(span, {
    attributes: { value: cleanAttributes(span.attributes) },
    events: { value: events },
    status: { value: status },
  }) as ReadableSpan;
}
