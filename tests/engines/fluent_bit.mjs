// The filter under V8, called as Fluent Bit calls it: tag and record are written into memory of
// the module's `malloc`, the answer is read up to its NUL and never freed.
//
//   node fluent_bit.mjs MODULE RECORDS FUNCTION      prints the answer to each line of RECORDS
//   node fluent_bit.mjs MODULE RECORDS --endurance   hostile records, memory after 100,000 calls
import { readFileSync, writeSync } from "node:fs";
import { strict as assert } from "node:assert";

// When versions of Fluent Bit free what they allocated: after each call (from 4.1.2 on), after a
// chunk of records (up to 4.0), never (4.1.0 and 4.1.1).
const FREES = { call: 1, chunk: 50, never: Infinity };

class Filter {
  constructor(module, freesAfter) {
    this.exports = new WebAssembly.Instance(module, {}).exports;
    this.freesAfter = freesAfter;
    this.held = [];
    this.calls = 0;
  }

  write(bytes) {
    const at = this.exports.malloc(bytes.length + 1);
    assert(at !== 0, "malloc gave nothing");
    const memory = new Uint8Array(this.exports.memory.buffer);
    memory.set(bytes, at);
    memory[at + bytes.length] = 0;
    this.held.push(at);
    return at;
  }

  read(at) {
    const memory = new Uint8Array(this.exports.memory.buffer);
    return Buffer.from(memory.slice(at, memory.indexOf(0, at)));
  }

  call(name, record, address) {
    const tag = Buffer.from("misp");
    const [at, to] = [this.write(tag), address ?? this.write(record)];
    const answer = this.exports[name](at, tag.length, 1700000000, 0, to, record.length);
    const text = this.read(answer);
    this.calls += 1;
    if (this.calls % this.freesAfter === 0) {
      this.held.forEach((held) => this.exports.free(held));
      this.held = [];
    }
    return text;
  }
}

function lines(path) {
  const text = readFileSync(path, "utf8").trimEnd();
  return text.split("\n").map((line) => Buffer.from(line));
}

function answers(module, records, name) {
  const filter = new Filter(module, FREES.call);
  for (const record of records) {
    writeSync(1, Buffer.concat([filter.call(name, record), Buffer.from("\n")]));
  }
}

function hostile(records) {
  const deep = (depth) => `{"value":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const cut = records.flatMap((record) => [1, 2, 3].map((n) => record.subarray(0, (record.length * n) / 4)));
  return [
    "", "\0", "{", "}", "null", "[]", "[[]]", "{}", "\ufeff{}", '{"value":"\\ud800"}', '{"Event":[]}',
    '{"type":"ip-dst","value":1e999}', deep(31), deep(40), deep(10000), `"${"x".repeat(1 << 20)}"`,
    `{"response":${"[".repeat(100000)}`, '{"type":"url","value":"http://[::1"}',
    '{"type":"domain|ip","value":"|","to_ids":"maybe","timestamp":-1e300}',
  ].map((text) => Buffer.from(text)).concat([Buffer.from([0xff, 0xfe, 0x00]), ...cut]);
}

function endurance(module, records) {
  const odd = hostile(records.slice(0, 20));
  for (const freesAfter of Object.values(FREES)) {
    const filter = new Filter(module, freesAfter);
    const again = (times) => {
      for (let n = 0; n < times; n += 1) {
        filter.call("misp_attribute_to_ecs", records[n % records.length]);
        if (n % 10 === 0) filter.call("misp_to_ecs", odd[n % odd.length]);
      }
    };
    // More hostile records than traps that end an instance for good.
    for (let n = 0; n < 3000; n += 1) {
      for (const name of ["misp_to_ecs", "misp_to_ecs_docs", "misp_attribute_to_ecs"]) {
        const answer = filter.call(name, odd[n % odd.length]);
        if (answer.length > 0 && name !== "misp_to_ecs") JSON.parse(answer);
      }
      const nowhere = filter.call("misp_attribute_to_ecs", Buffer.alloc(9000, 32), 0);
      assert.equal(JSON.parse(nowhere).event.kind, "pipeline_error");
    }
    again(2000);
    const before = filter.exports.memory.buffer.byteLength;
    again(freesAfter === FREES.call ? 100000 : 10000);
    assert.equal(filter.exports.memory.buffer.byteLength, before, "memory grows");
    console.log(`${filter.calls} calls, memory stays at ${before} bytes`);
  }
}

const [path, records, what] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));
assert.deepEqual(WebAssembly.Module.imports(module), []);
if (what === "--endurance") endurance(module, lines(records));
else answers(module, lines(records), what);
