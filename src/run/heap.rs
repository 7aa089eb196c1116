//! One heap for all threads.
//!
//! glibc gives every thread an arena of its own, and what one thread has freed no other can use: the activations that two workers
//! hold in turn then take hundreds of megabytes more than they have. Those are large pieces, so nobody waits for a lock.

/// Makes all threads that start from now on share one arena; without effect where the C library isn't glibc.
pub fn share() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const ARENA_MAX: i32 = -8; // M_ARENA_MAX in glibc's malloc.h

        #[allow(unsafe_code)]
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // SAFETY: the signature is glibc's, and any value is allowed. A refusal, 0, changes nothing.
        #[allow(unsafe_code)]
        let _ = unsafe { mallopt(ARENA_MAX, 1) };
    }
}
