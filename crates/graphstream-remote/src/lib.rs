//! What exists in the object store: keys, head, epochs, history rule, fencing.
