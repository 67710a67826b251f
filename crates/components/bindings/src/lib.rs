//! The guest side of `wit/mapping.wit`: the generated bindings, and [`Shell`], which
//! makes a component of anything that implements `mapping::Mapping`.
//!
//! ```ignore
//! type Component = component_bindings::Shell<MyMapping>;
//! component_bindings::export!(Component);
//! ```
//!
//! Only for wasm32: natively this crate is empty, since two libraries with these
//! exports would collide in one binary.

#![cfg(target_arch = "wasm32")]

#[expect(missing_docs, reason = "generated: the WIT has the documentation")]
mod generated {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "mapping-component",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "component_bindings",
    });
}

mod panics;
mod shell;

pub use generated::*;
pub use shell::{MapperOf, Shell};
