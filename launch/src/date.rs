//! Times of day without a time zone: UTC.

use std::time::Duration;

use bags::info::civil;

/// `2026-11-22_14-30-05`
#[must_use]
pub fn for_file_names(since_epoch: Duration) -> String {
    let ((year, month, day), rest) = split(since_epoch);
    format!("{year:04}-{month:02}-{day:02}_{:02}-{:02}-{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// `2026-11-22 14:30:05.123`
#[must_use]
pub fn with_ms(since_epoch: Duration) -> String {
    let ((year, month, day), rest) = split(since_epoch);
    let ms = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{ms:03}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn split(since_epoch: Duration) -> ((u64, u64, u64), u64) {
    let seconds = since_epoch.as_secs();
    (civil(seconds / 86_400), seconds % 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_454), (2026, 1, 1));
    }
}
