// A mapping in JavaScript: one document an attribute, a few fields. It keeps the contract of
// wit/README.md as any other; `misp-ecs mapping verify` holds it against it.

// Every field that a document can hold: name, type, who defines it, where the value comes from.
const FIELDS = [
  ["@timestamp", "date", "ecs", "the attribute's timestamp, milliseconds"],
  ["event.category", "keyword", "ecs", "always threat"],
  ["event.kind", "keyword", "ecs", "always enrichment"],
  ["event.type", "keyword", "ecs", "always indicator"],
  ["misp.attribute.type", "keyword", "custom", "the attribute's type"],
  ["misp.attribute.uuid", "keyword", "custom", "the attribute's uuid"],
  ["misp.attribute.value", "keyword", "custom", "the attribute's value"],
  ["misp.event.info", "keyword", "custom", "the event's info"],
  ["misp.event.uuid", "keyword", "custom", "the event's uuid"],
  ["tags", "keyword", "ecs", "the event's and the attribute's tags"],
  ["threat.indicator.file.hash.md5", "keyword", "ecs", "the value of md5"],
  ["threat.indicator.file.hash.sha1", "keyword", "ecs", "the value of sha1"],
  ["threat.indicator.file.hash.sha256", "keyword", "ecs", "the value of sha256"],
  ["threat.indicator.ip", "ip", "ecs", "the value of ip-src, ip-dst, if it is an IPv4 address"],
  ["threat.indicator.type", "keyword", "ecs", "by the attribute's type"],
  ["threat.indicator.url.domain", "keyword", "ecs", "the value of domain, hostname"],
  ["threat.indicator.url.original", "wildcard", "ecs", "the value of url, uri"],
];

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

// Least strict first.
const TLP = ["clear", "green", "amber", "amber-strict", "red"];

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

class Mapper {
  constructor(settings, origin) {
    const [key] = Object.keys(object(settings));
    if (key !== undefined) throw { tag: "unknown-key", val: `${key}: there are no settings` };
    this.staticFields = object(origin.staticFields);
    const { agent, host, ...lasting } = this.staticFields;
    this.start = hash(JSON.stringify(lasting));
  }

  /** Search flags of MISP that this mapping needs. */
  request() {
    return "{}";
  }

  /** One result a record, in order. */
  transform(batch, _nowMs) {
    return batch.map((json) => {
      try {
        return { tag: "ok", val: this.record(json) };
      } catch (error) {
        // A mapping never traps: what nobody thought of is refused like anything else.
        return { tag: "err", val: error.tag ? error : { tag: "other", val: String(error) } };
      }
    });
  }

  /** A record is an event, whole or in part, or one attribute with its event inside. */
  record(json) {
    let record;
    try {
      record = JSON.parse(decoder.decode(json));
    } catch (error) {
      throw { tag: "malformed", val: String(error) };
    }
    const loose = record?.type !== undefined && record?.value !== undefined;
    const event = members(loose ? record.Event : (record?.Event ?? record));
    const attributes = loose
      ? [record]
      : [event, ...list(event.Object)].flatMap((holder) => list(members(holder).Attribute));
    const uuid = text(event.uuid);
    const outcome = { event: uuid ?? "", documents: [], refused: [], tallies: [], facts: [] };
    // Documents with equal facts share an entry.
    const known = new Map();
    const facts = (attribute) => {
      const entry = this.facts(event, attribute);
      const key = JSON.stringify(entry);
      if (!known.has(key)) known.set(key, outcome.facts.push(entry) - 1);
      return known.get(key);
    };
    // Once a record: hashing is slow without a compiler, and the head may be long.
    this.head = hash(JSON.stringify(this.body(event).misp), this.start);
    const tallies = new Map();
    const tally = (attributeType, indicatorType) => {
      const key = JSON.stringify([attributeType, indicatorType]);
      const known = tallies.get(key) ?? { attributeType, indicatorType, count: 0 };
      known.count += 1;
      tallies.set(key, known);
    };
    for (const attribute of attributes.map(members)) {
      if (text(attribute.uuid) === undefined) {
        outcome.refused.push({ reason: { tag: "invalid", val: "the attribute has no uuid" } });
        continue;
      }
      const { document, indicator } = this.attribute(event, attribute);
      outcome.documents.push({ ...document, facts: facts(attribute) });
      tally(text(attribute.type) ?? "", indicator);
    }
    if (attributes.length === 0) {
      if (uuid === undefined) throw { tag: "unsupported", val: "neither an event nor an attribute" };
      const document = this.document(uuid, event, undefined, this.body(event), []);
      outcome.documents.push({ ...document, facts: facts(undefined) });
      tally("", undefined);
    }
    outcome.tallies = [...tallies.values()];
    return outcome;
  }

  attribute(event, attribute) {
    const type = text(attribute.type);
    const value = text(attribute.value);
    const body = this.body(event, attribute);
    const notes = [];
    let indicator;
    switch (type) {
      case "ip-src":
      case "ip-dst":
        if (IPV4.test(value)) indicator = { type: "ipv4-addr", ip: value };
        else notes.push({ kind: "bad-value", field: "threat.indicator.ip", text: "not an IPv4 address" });
        break;
      case "domain":
      case "hostname":
        indicator = { type: "domain-name", url: { domain: value } };
        break;
      case "url":
      case "uri":
        indicator = { type: "url", url: { original: value } };
        break;
      case "md5":
      case "sha1":
      case "sha256":
        indicator = { type: "file", file: { hash: { [type]: value } } };
        break;
      default:
        notes.push({ kind: "unmapped-type", field: "threat.indicator.type", text: "no indicator for this type" });
    }
    if (indicator) body.threat = { indicator };
    const document = this.document(text(attribute.uuid), event, attribute, body, notes);
    return { document, indicator: indicator?.type };
  }

  /** What the host's filters select by. */
  facts(event, attribute) {
    const names = (of) => list(of?.Tag).map((tag) => text(members(tag).name)).filter((name) => name);
    const strictest = (tags) => tags.map(marking).sort((a, b) => TLP.indexOf(b) - TLP.indexOf(a))[0];
    const own = names(attribute);
    const creator = members(event.Orgc);
    return {
      attributeType: text(attribute?.type),
      category: text(attribute?.category),
      toIds: boolean(attribute?.to_ids),
      tags: own.concat(names(event)),
      tlp: strictest(own) ?? strictest(names(event)),
      organisation: text(creator.name),
      organisationUuid: text(creator.uuid),
      confidence: undefined,
    };
  }

  /** What all documents hold. JSON leaves out what is undefined. */
  body(event, attribute) {
    const tags = [event, attribute]
      .flatMap((of) => list(of?.Tag).map((tag) => text(members(tag).name)))
      .concat(list(this.staticFields.tags))
      .filter((tag) => typeof tag === "string");
    return {
      "@timestamp": milliseconds(attribute ?? event),
      event: { kind: "enrichment", category: ["threat"], type: ["indicator"] },
      misp: {
        event: { info: text(event.info), uuid: text(event.uuid) },
        attribute: attribute && {
          type: text(attribute.type),
          uuid: text(attribute.uuid),
          value: text(attribute.value),
        },
      },
      tags: tags.length > 0 ? tags : undefined,
    };
  }

  document(id, event, attribute, body, notes) {
    const source = attribute ?? event;
    merge(body, this.staticFields);
    // What moves by itself is no part of the fingerprint: agent.*, host.*, the event's clocks.
    const lasting = [
      attribute && body["@timestamp"],
      body.misp.attribute,
      body.tags,
      body.threat,
    ];
    const seconds = attribute && integer(attribute.timestamp);
    return {
      id,
      attribute: attribute && text(attribute.uuid),
      attributeTimestamp: seconds === undefined ? undefined : BigInt(seconds),
      operation: source.deleted === true || source.deleted === "1" ? "delete" : "put",
      dataset: undefined,
      timestampMs: BigInt(milliseconds(source)),
      modifiedMs: BigInt(milliseconds(source)),
      expiresMs: undefined,
      fingerprint: number(hash(JSON.stringify(lasting), this.head)),
      body: encoder.encode(JSON.stringify(body)),
      notes,
    };
  }
}

/** A JSON object; no bytes are an empty one. */
function object(bytes) {
  if (bytes.length === 0) return {};
  let value;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw { tag: "malformed", val: String(error) };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw { tag: "malformed", val: "not a JSON object" };
  }
  return value;
}

/** The value if it has members. */
function members(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** A list, or the one thing that stands in its place. */
function list(value) {
  if (Array.isArray(value)) return value.filter((item) => item !== null);
  if (typeof value === "string") return [value];
  return Object.keys(members(value)).length > 0 ? [value] : [];
}

/** Text, also where MISP sends a number; nothing where it is empty. A lone half of a pair is no text. */
function text(value) {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value.toWellFormed() : undefined;
}

/** MISP sends booleans as 0 and 1 too, and as text. */
function boolean(value) {
  if (["true", "1"].includes(String(value))) return true;
  return ["false", "0"].includes(String(value)) ? false : undefined;
}

/** The marking that a tag states. */
function marking(tag) {
  const [, name] = /^tlp:(.*)$/i.exec(tag) ?? [];
  const known = { white: "clear", "amber+strict": "amber-strict" };
  const lower = name?.trim().toLowerCase();
  const tlp = known[lower] ?? lower;
  return TLP.includes(tlp) ? tlp : undefined;
}

function integer(value) {
  const number = Number(text(value));
  return Number.isSafeInteger(number) ? number : undefined;
}

/** `timestamp` is in seconds. */
function milliseconds(of) {
  const milliseconds = (integer(of.timestamp) ?? 0) * 1000;
  return Number.isSafeInteger(milliseconds) ? milliseconds : 0;
}

/** Adds what is not there, at every depth. */
function merge(into, from) {
  for (const [key, value] of Object.entries(from)) {
    if (into[key] === undefined) into[key] = structuredClone(value);
    else if (typeof value === "object" && !Array.isArray(value)) merge(members(into[key]), value);
  }
}

/** FNV-1a of 32 bits, twice from two starts: 64 bits without slow big numbers. */
function hash(string, [high, low] = [0xcbf29ce4, 0x84222325]) {
  for (let place = 0; place < string.length; place += 1) {
    const unit = string.charCodeAt(place);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x01000193);
  }
  return [high, low];
}

function number([high, low]) {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

export const mapping = {
  describe() {
    return {
      name: "javascript",
      // Of the output: another document for the same input is another version.
      version: "0.1.0",
      ecsVersion: "8.0",
      settingsSchema: JSON.stringify({ type: "object", properties: {}, additionalProperties: false }),
      fields: FIELDS.map(([name, dataType, origin, source]) => ({ name, dataType, origin, source })),
      extra: [],
    };
  },
  Mapper,
};
