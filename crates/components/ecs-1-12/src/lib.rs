//! The mapping ecs-1.12 as a component. Natively empty.

#![cfg(target_arch = "wasm32")]

type Component = component_bindings::Shell<mapping_ecs_1_12::Ecs112>;
component_bindings::export!(Component);
