// A mapping component as JavaScript, made by jco: `node component.mjs TRANSPILED.js RECORDS`
// prints the body of each document.
import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [transpiled, records] = process.argv.slice(2);
const { mapping } = await import(pathToFileURL(transpiled));
const nothing = new TextEncoder().encode("{}");
const mapper = new mapping.Mapper(nothing, { name: "", url: undefined, staticFields: nothing });
const lines = readFileSync(records, "utf8").trimEnd().split("\n");
for (const line of lines) {
  const [result] = mapper.transform([new TextEncoder().encode(line)], 1700000000000n);
  if (result.tag !== "ok") throw new Error(JSON.stringify(result));
  for (const { body, operation } of result.val.documents) {
    if (operation === "put") writeSync(1, Buffer.concat([body, Buffer.from("\n")]));
  }
}
