import type { Tracer } from "@opentelemetry/api";

import type { Tasks } from "./tasks.ts";

const ACTED_ON = "button, a[href], summary, [role=button]";

/**
 * A task for each click on something that acts, and for each form that is sent. Heard in the capture
 * phase: the page's own handlers run inside of the task.
 *
 * Named by `data-action`: a label's text could hold what a user wrote.
 */
export function traceInteractions(tracer: Tracer, tasks: Tasks, page: Document = document): void {
  const begin = (type: string, element: Element): void => {
    const action = element.getAttribute("data-action") ?? element.tagName.toLowerCase();
    tasks.begin(tracer, `${type} ${action}`, {
      "app.interaction.type": type,
      "app.interaction.action": action,
    });
  };
  page.addEventListener(
    "click",
    (event) => {
      const element = event.target instanceof Element ? event.target.closest(ACTED_ON) : null;
      if (!element) return;
      // The form's submit event follows at once, and is the same interaction.
      const submits = element instanceof HTMLButtonElement && element.form && element.type === "submit";
      if (!submits) begin("click", element);
    },
    { capture: true },
  );
  page.addEventListener(
    "submit",
    (event) => {
      if (event.target instanceof Element) begin("submit", event.target);
    },
    { capture: true },
  );
}
