// Builds the page with a telemetry that does nothing, into the folder that is named: what the page
// would be without it, downloaded and parsed bytes included. Run in services/frontend.
import { pathToFileURL } from "node:url";

const { build } = await import(pathToFileURL(`${process.cwd()}/node_modules/vite/dist/node/index.js`).href);
const NOTHING = "export const startTelemetry = () => ({ report: () => undefined });";

await build({
  logLevel: "error",
  build: { outDir: process.argv[2] },
  plugins: [
    {
      name: "without-telemetry",
      enforce: "pre",
      resolveId: (id) => (id.endsWith("telemetry/index.ts") ? "\0no-telemetry" : null),
      load: (id) => (id === "\0no-telemetry" ? NOTHING : null),
    },
  ],
});
