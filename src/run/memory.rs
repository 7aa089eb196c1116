//! The memory of this process and of the machine, as Linux tells it.

use std::fs;

/// Makes all threads that start from now on share one heap, which keeps what is freed; without effect where the C library isn't glibc.
///
/// glibc gives every thread a heap of its own, and what one thread has freed no other can use: the activations that two workers hold
/// in turn then take hundreds of megabytes more than they have. Those are large pieces, so nobody waits for a lock. It also maps each of the
/// largest by itself and gives it back to the system at once, which clears it anew for the next layer that asks, and gives back the heap's free end.
/// So nothing is mapped and nothing given back.
pub fn share_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // M_TRIM_THRESHOLD, M_MMAP_MAX and M_ARENA_MAX in glibc's malloc.h
        const SETTINGS: [(i32, i32); 3] = [(-1, -1), (-4, 0), (-8, 1)];

        #[allow(unsafe_code)]
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        for (parameter, value) in SETTINGS {
            // SAFETY: the signature is glibc's, and any value is allowed. A refusal, 0, changes nothing.
            #[allow(unsafe_code)]
            let _ = unsafe { mallopt(parameter, value) };
        }
    }
}

/// Bytes that the machine can still give; none where the system doesn't tell.
pub fn available() -> Option<u64> {
    field("/proc/meminfo", "MemAvailable:")
}

/// Starts [`peak`] anew; without effect where the system can't.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Most bytes that this process has held since [`forget_peak`].
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// A line's number of kilobytes, in bytes.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_grows_with_what_is_held() {
        forget_peak();
        let before = peak().unwrap();
        // More than other tests of this process may give back meanwhile.
        let held = std::hint::black_box(vec![1_u8; 512 << 20]);
        assert!(peak().unwrap() >= before + (256 << 20));
        assert!(available().unwrap() > 0);
        drop(held);
    }
}
