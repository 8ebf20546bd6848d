//! Leader, uploader and follower: ships a journal to object storage and back.
