import "./page.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { createApi } from "./api/client.ts";
import { App } from "./app.tsx";
import { Catcher } from "./parts/catcher.tsx";
import { readSettings } from "./settings.ts";
import { startTelemetry } from "./telemetry/index.ts";
import { activeSpan } from "./telemetry/tasks.ts";

const settings = readSettings();
// Before the first request, so that it is part of the page's trace.
const reporter = startTelemetry(settings);
const api = createApi(settings.backend);
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <Catcher caught={reporter.report}>
      <App api={api} debug={settings.debug} traceId={() => activeSpan()?.spanContext().traceId} />
    </Catcher>
  </StrictMode>,
);
