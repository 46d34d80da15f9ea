//! Numbers, however they are written.

/// One way to write a number, with a decimal point and nothing between thousands, and the other one it may mean.
pub(super) fn number(text: &str) -> (String, Option<String>) {
    let is_grouped = |text: &str| {
        let mut groups = text.split(',');
        let first = groups.next().unwrap_or_default();
        (1..=3).contains(&first.len()) && !first.starts_with('0') && groups.all(|group| group.len() == 3)
    };
    let plain = || text.replace(',', "");
    match (text.matches(',').count(), text.matches('.').count()) {
        (0, _) => (text.to_owned(), None),
        (1, 0) => (text.replace(',', "."), is_grouped(text).then(plain)),
        (_, 0) if is_grouped(text) => (plain(), None),
        (_, 1) if text.rfind(',') < text.find('.') => (plain(), None),
        (1, _) if text.rfind('.') < text.find(',') => (text.replace('.', "").replace(',', "."), None),
        _ => (text.to_owned(), None),
    }
}

/// The numbers that this may be a list of. Two are one if they may be a price or a thousand: "1,5", "1,000".
pub(super) fn list(text: &str) -> Vec<String> {
    let numbers: Vec<&str> = text.split(',').collect();
    let are_long = |length: usize| numbers.iter().all(|number| number.len() == length);
    let is_thousands = numbers[1..].iter().all(|number| number.len() == 3)
        && (numbers[0].len() < 3 || numbers[1..].iter().any(|number| number.starts_with('0')));
    let is_list = match numbers.len() {
        0 | 1 => false,
        2 => are_long(2),
        _ => !is_thousands && numbers.iter().all(|number| number.matches('.').count() <= 1),
    };
    if is_list { numbers.into_iter().map(str::to_owned).collect() } else { Vec::new() }
}

/// "1 1/2" is one number, as "1-1/2" is.
pub(super) fn mixed_numbers(text: &str) -> String {
    let mut mixed = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in text.match_indices(' ') {
        if ends_with_whole_number(&text[..at]) && begins_with_fraction(&text[at + 1..]) {
            mixed.push_str(&text[from..at]);
            mixed.push('-');
            from = at + 1;
        }
    }
    mixed + &text[from..]
}

fn ends_with_whole_number(text: &str) -> bool {
    let figures = text.chars().rev().take_while(char::is_ascii_digit).take(4).count();
    let rest = &text[..text.len() - figures];
    (1..=3).contains(&figures)
        && !rest.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '-' | '/'))
}

/// As inches have them.
fn begins_with_fraction(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '/').unwrap_or(text.len());
    let Some((above, below)) = text[..end].split_once('/') else { return false };
    let (Ok(above), Ok(below)) = (above.parse::<u8>(), below.parse::<u8>()) else { return false };
    (1..below).contains(&above) && matches!(below, 2..=6 | 8 | 10 | 12 | 16 | 32 | 64)
}
