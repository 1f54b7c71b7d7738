//! What the programs in `src/bin` share: how figures are shown.

use std::time::Duration;

/// The value below which this share of sorted times lies, in milliseconds; nothing of none.
pub fn at(times: &[Duration], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a short list")]
    #[expect(clippy::cast_precision_loss, reason = "the length of a short list")]
    let index = (times.len().saturating_sub(1) as f64 * share) as usize;
    times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}
