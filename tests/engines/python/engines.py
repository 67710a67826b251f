"""The artifacts under Python's wasmtime.

    engines.py command MODULE            WASI preview 1 or 2, stdin to stdout
    engines.py filter MODULE RECORDS FUNCTION    the answer to each line, as Fluent Bit asks
    engines.py component MAPPING RECORDS         the body of each document
"""

import sys

from wasmtime import Config, Engine, ExitTrap, Instance, Linker, Module, Store, WasiConfig
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


def filter_(path: str, records: str, function: str) -> int:
    store = Store(Engine())
    instance = Instance(store, Module.from_file(store.engine, path), [])
    exports = instance.exports(store)
    memory = exports["memory"]

    def given(data: bytes) -> int:
        address = exports["malloc"](store, len(data) + 1)
        memory.write(store, data + b"\0", address)
        return address

    for record in lines(records):
        tag, address = given(b"misp"), given(record)
        answer = exports[function](store, tag, 4, 1700000000, 0, address, len(record))
        end = answer
        text = b""
        while b"\0" not in text:
            piece = memory.read(store, end, min(end + 65536, memory.data_len(store)))
            text += piece
            end += len(piece)
        write(text.split(b"\0", 1)[0], b"\n")
        exports["free"](store, tag)
        exports["free"](store, address)
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


WAYS = {"command": command, "filter": filter_, "component": mapping}

if __name__ == "__main__":
    sys.exit(WAYS[sys.argv[1]](*sys.argv[2:]))
