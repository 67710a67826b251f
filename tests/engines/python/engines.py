"""The artifacts under Python's wasmtime.

    engines.py command MODULE            WASI preview 1 or 2, stdin to stdout
    engines.py filter MODULE RECORDS FUNCTION    the answer to each line, as Fluent Bit asks
    engines.py trap MODULE RECORDS       a stack of 8 KB: a trap loses its record and no other
    engines.py linear MODULE             the instructions of large attributes
    engines.py component MAPPING RECORDS         the body of each document
"""

import json

import sys

from wasmtime import Config, Engine, ExitTrap, Instance, Linker, Module, Store, Trap, WasiConfig
from wasmtime import component


def write(*parts: bytes) -> None:
    for part in parts:
        sys.stdout.buffer.write(part)


def lines(path: str) -> list[bytes]:
    with open(path, "rb") as file:
        return file.read().rstrip(b"\n").split(b"\n")


def command(path: str) -> int:
    engine = Engine(Config())
    store = Store(engine)
    wasi = WasiConfig()
    wasi.argv = ["misp-ecs-map"]
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    store.set_wasi(wasi)
    with open(path, "rb") as file:
        bytes_ = file.read()
    try:
        if bytes_[4:8] == b"\x01\x00\x00\x00":
            linker = Linker(engine)
            linker.define_wasi()
            instance = linker.instantiate(store, Module(engine, bytes_))
            instance.exports(store)["_start"](store)
            return 0
        linker = component.Linker(engine)
        linker.add_wasip2()
        found = component.Component(engine, bytes_)
        instance = linker.instantiate(store, found)
        name = next(name for name in found.type.exports(engine) if name.startswith("wasi:cli/run"))
        run = instance.get_func(store, instance.get_export_index(store, "run", instance.get_export_index(store, name)))
        run(store)
        return 0
    except ExitTrap as trap:
        return trap.code


class Filter:
    """The filter as Fluent Bit calls it: one instance, also after a trap."""

    def __init__(self, path: str, config: Config | None = None):
        self.store = Store(Engine(config or Config()))
        if config is not None:
            self.store.set_fuel(FUEL)
        instance = Instance(self.store, Module.from_file(self.store.engine, path), [])
        self.exports = instance.exports(self.store)
        self.memory = self.exports["memory"]

    def given(self, data: bytes) -> int:
        address = self.exports["malloc"](self.store, len(data) + 1)
        assert address != 0, "malloc gave nothing"
        self.memory.write(self.store, data + b"\0", address)
        return address

    def call(self, function: str, record: bytes) -> bytes:
        """The answer. A trap is raised before anything is freed, as in Fluent Bit."""
        tag, address = self.given(b"misp"), self.given(record)
        end = self.exports[function](self.store, tag, 4, 1700000000, 0, address, len(record))
        text = b""
        while b"\0" not in text:
            piece = self.memory.read(self.store, end, min(end + 65536, self.memory.data_len(self.store)))
            text += piece
            end += len(piece)
        self.exports["free"](self.store, tag)
        self.exports["free"](self.store, address)
        return text.split(b"\0", 1)[0]

    def instructions(self, function: str, record: bytes) -> int:
        self.store.set_fuel(FUEL)
        self.call(function, record)
        return FUEL - self.store.get_fuel()


FUEL = 1 << 62


def metered(stack: int | None = None) -> Config:
    config = Config()
    config.consume_fuel = True
    if stack is not None:
        config.max_wasm_stack = stack
    return config


def filter_(path: str, records: str, function: str) -> int:
    filter_ = Filter(path)
    for record in lines(records):
        write(filter_.call(function, record), b"\n")
    return 0


def answered(answer: bytes) -> list[dict]:
    """The documents of an answer: a first object, and behind it events."""
    decoder, text, found = json.JSONDecoder(), answer.decode(), []
    at = 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found += value["docs"] if "docs" in value else [value if isinstance(value, dict) else value[1]]
    return found


def trap(path: str, records: str) -> int:
    """With a stack of 8 KB: whatever traps is lost and reported, all else is mapped as always."""
    whole, small = Filter(path), Filter(path, metered(8 << 10))
    hostile = [
        json.dumps({"value": "x", "misp_ecs_settings": "[" * 126 + "]" * 126}).encode(),
        json.dumps({"Event": {"info": "x", "Attribute": [{"value": "v"} for _ in range(3000)]}}).encode(),
        b'{"type":"text","value":"x","x":' + b"[" * 31 + b"]" * 31 + b"}",
        b"garbage",
    ]
    everything = [record for line in lines(records)[:40] for record in [line, *hostile]]
    for function in ["misp_attribute_to_ecs", "misp_to_ecs_docs", "misp_to_ecs"]:
        traps, reported, mapped = 0, 0, 0
        for record in everything:
            try:
                found = answered(small.call(function, record))
            except Trap:
                traps += 1
                continue
            lost = [one for one in found if one.get("error", {}).get("type") == "lost"]
            reported += len(lost)
            rest = [one for one in found if one not in lost]
            assert rest == answered(whole.call(function, record)), (function, record[:200])
            mapped += len(rest)
        # The last one is reported by the next call.
        found = answered(small.call(function, b"garbage"))
        reported += sum(one["error"]["type"] == "lost" for one in found)
        assert reported == traps, (function, reported, traps)
        print(f"{function} with 8 KB of stack: {mapped} documents, {traps} traps, {reported} reported")
    # Running out of fuel traps wherever it happens, also in the middle of malloc.
    filter_ = Filter(path, metered())
    good = everything[0]
    expected = answered(filter_.call("misp_attribute_to_ecs", good))
    need = filter_.instructions("misp_attribute_to_ecs", good)
    for part in range(1, 60):
        filter_.store.set_fuel(need * part // 60)
        try:
            filter_.call("misp_attribute_to_ecs", good)
            lost = 0
        except Trap:
            lost = 1
        filter_.store.set_fuel(FUEL)
        found = answered(filter_.call("misp_attribute_to_ecs", good))
        assert found[0] == expected[0], part
        # A trap before the call had begun lost nothing that the filter knows of.
        assert len(found) - 1 <= lost, (part, found)
    print("traps at 59 places of a call: the next answer is right")
    return 0


def linear(path: str) -> int:
    """Four times the tags, galaxies, siblings, sightings or correlations: at most five times the
    instructions."""
    filter_ = Filter(path, metered())

    def attribute(**members) -> bytes:
        return json.dumps({"type": "ip-dst", "value": "192.0.2.7", "to_ids": True, "timestamp": "1700000000", **members}).encode()

    def cluster(number: int) -> dict:
        name = f"Name {number} - T{number % 9000 + 1000}.{number // 9000:03}"
        return {"tag_name": f'misp-galaxy:mitre-attack-pattern="{name}"', "type": "mitre-attack-pattern", "value": name}

    makers = {
        "tags": lambda n: attribute(Tag=[{"name": f"tag:n{k}"} for k in range(n)]),
        "galaxies": lambda n: attribute(Galaxy=[{"GalaxyCluster": [cluster(k) for k in range(n)]}]),
        "tags of galaxies": lambda n: attribute(
            Tag=[{"name": cluster(k)["tag_name"]} for k in range(n)],
            Galaxy=[{"GalaxyCluster": [cluster(k) for k in range(n)]}],
        ),
        "sightings": lambda n: attribute(Sighting=[{"type": str(k % 3), "id": str(k)} for k in range(n)]),
        "correlations": lambda n: attribute(RelatedAttribute=[{"type": "ip-dst", "value": "192.0.2.7", "id": str(k)} for k in range(n)]),
        "siblings": lambda n: json.dumps({"Event": {"info": "x", "Object": [{"name": "o", "Attribute": [
            {"type": "text", "value": f"v{k}", "uuid": f"u{k}", "timestamp": "1700000000"} for k in range(n // 10)]}]}}).encode(),
    }
    for name, make in makers.items():
        function = "misp_to_ecs_docs"
        filter_.call(function, make(10))
        one, four = (filter_.instructions(function, make(n)) for n in (1000, 4000))
        print(f"{name}: {one} instructions at n, {four} at 4n, {four / one:.2f} times")
        assert four < 5 * one, name
    return 0


def mapping(path: str, records: str) -> int:
    engine = Engine(Config())
    store = Store(engine)
    linker = component.Linker(engine)
    found = component.Component.from_file(engine, path)
    instance = linker.instantiate(store, found)
    name = next(name for name in found.type.exports(engine) if name.startswith("misp-ecs:mapping/mapping"))
    inside = instance.get_export_index(store, name)

    def function(name: str):
        return instance.get_func(store, instance.get_export_index(store, name, inside))

    def call(name: str, *arguments):
        called = function(name)
        answer = called(store, *arguments)
        called.post_return(store)
        return answer

    origin = component.Record()
    origin.name = ""
    origin.url = None
    setattr(origin, "static-fields", b"{}")
    made = call("[constructor]mapper", b"{}", origin)
    mapper = getattr(made, "payload", made)
    for record in lines(records):
        (result,) = call("[method]mapper.transform", mapper, [record], 1700000000000)
        outcome = getattr(result, "payload", result)
        for document in outcome.documents:
            if document.operation == "put":
                write(document.body, b"\n")
    return 0


WAYS = {"command": command, "filter": filter_, "trap": trap, "linear": linear, "component": mapping}

if __name__ == "__main__":
    sys.exit(WAYS[sys.argv[1]](*sys.argv[2:]))
