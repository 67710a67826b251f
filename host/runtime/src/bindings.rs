//! The host side of `wit/mapping.wit`, generated.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "mapping-component",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(crate) use generated::exports::misp_ecs::mapping::mapping as wit;
pub(crate) use generated::{MappingComponent, MappingComponentPre};
