//! The one integration crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod golden_ppo;
