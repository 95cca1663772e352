import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vitest/config";

import { forwarding } from "./src/forwarding.ts";
import { settingsScript } from "./src/settings-script.ts";

/** What server/page.py does for the built page: the addresses come from the environment. */
function settings(): Plugin {
  return {
    name: "cruddur-settings",
    configureServer(server) {
      server.middlewares.use("/config.js", (_request, response) => {
        response.setHeader("Content-Type", "text/javascript");
        response.end(settingsScript(process.env));
      });
    },
  };
}

/** What the page's server sends to whoever takes gzip: WhiteNoise finds it beside the file. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "cruddur-compressed",
    apply: "build",
    configResolved: (config) => void (folder = config.build.outDir),
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!/\.(js|css|svg|html)$/.test(name)) continue;
        const file = join(folder, name);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

const proxy = forwarding(process.env);

export default defineConfig({
  plugins: [react(), settings(), compressed()],
  server: {
    host: "127.0.0.1",
    port: Number(process.env.FRONTEND_PORT ?? 3000),
    strictPort: true,
    // The page's name in a cloud workspace; Vite knows this machine's own.
    allowedHosts: process.env.PAGE_URL ? [new URL(process.env.PAGE_URL).hostname] : [],
    ...(proxy ? { proxy } : {}),
  },
  build: {
    outDir: process.env.PAGE_DIR ?? "dist",
    emptyOutDir: true,
    target: "es2022",
    // Rollbar and a reader of the console see our names; a map is fetched only by open tools.
    sourcemap: true,
  },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"] },
});
