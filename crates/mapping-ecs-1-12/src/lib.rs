//! The mapping ecs-1.12: misp.* at the root, ECS 1.12.
