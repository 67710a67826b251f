//! ECS document writer and field catalogue.
