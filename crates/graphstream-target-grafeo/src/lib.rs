//! Replays a journal into the embedded graph database grafeo.
