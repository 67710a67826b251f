//! The mapping ecs-1.12 as a component.
