//! The mapping ecs-9 as a component. Natively empty.

#![cfg(target_arch = "wasm32")]

type Component = component_bindings::Shell<mapping_ecs_9::Ecs9>;
component_bindings::export!(Component);
