// Builds mapping.js into a component: node build.mjs [OUT]
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.argv[2] ?? here("javascript.component.wasm");

const { component } = await componentize(await readFile(here("mapping.js"), "utf8"), {
  sourceName: "mapping.js",
  witWorld: await readFile(here("../../../wit/mapping.wit"), "utf8"),
  worldName: "mapping-component",
  // Nothing of a system: a mapping may import nothing.
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
await writeFile(out, component);
console.log(`${out}: ${component.length} bytes`);
