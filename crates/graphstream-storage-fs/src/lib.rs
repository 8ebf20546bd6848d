//! A StorageBackend on a local or mounted file system.
