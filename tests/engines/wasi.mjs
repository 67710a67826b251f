// The command under Node's own WASI: `node wasi.mjs MODULE [ARGUMENTS..]`, stdin to stdout.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [path, ...rest] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["misp-ecs-map", ...rest], env: {}, returnOnExit: true });
const module = new WebAssembly.Module(readFileSync(path));
const instance = new WebAssembly.Instance(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
