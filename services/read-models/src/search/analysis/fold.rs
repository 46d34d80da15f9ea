//! Characters: what is the same however it is written, and what is nearly the same.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word is written in at most so many ways with the letters of another keyboard; one of more has the first and the last.
const MAX_SPELLINGS: usize = 4;
/// A key to compare or to sort by is cut here.
const MAX_KEY: usize = 200;

/// The text in the one form that all further steps take: compatibility forms composed (full-width letters, ligatures), in
/// lower case, with one kind of apostrophe, hyphen and digit. What only marks a trade, or shows nothing, goes.
pub(super) fn normal(text: &str) -> String {
    let lower = apart(text).nfkc().flat_map(char::to_lowercase).filter_map(|c| {
        Some(match c {
            // One letter in two places.
            'ς' => 'σ',
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2bb}' | '\u{2032}' | '`' | '\u{b4}' => {
                '\''
            }
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            '\u{2044}' | '\u{2215}' => '/',
            '×' => 'x',
            '٫' => '.',
            '٬' => ',',
            '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200b}'
            | '\u{200c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' => return None,
            c => digit(c),
        })
    });
    lower.nfc().collect()
}

/// What [`normal`] keeps, with a sign between a number and what is written small behind it: 1½ is not 11/2, 10² not 102.
fn apart(text: &str) -> impl Iterator<Item = char> + '_ {
    let is_digit = |c: char| digit(c).is_ascii_digit() || matches!(c, '０'..='９');
    let kept = text.chars().filter(|c| !matches!(c, '™' | '®' | '©' | '℠'));
    let mut follows_digit = false;
    kept.flat_map(move |c| {
        let sign = match c {
            '¼'..='¾' | '⅐'..='⅞' | '↉' => Some('-'),
            '²' | '³' | '¹' | '⁰'..='⁹' | '₀'..='₉' => Some('^'),
            _ => None,
        };
        let sign = sign.filter(|_| follows_digit);
        follows_digit = is_digit(c);
        sign.into_iter().chain([c])
    })
}

/// A decimal digit of another script as ours.
fn digit(c: char) -> char {
    const ZEROES: [u32; 20] = [
        0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
        0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0xa9d0,
    ];
    let zero = ZEROES.iter().find(|zero| (**zero..**zero + 10).contains(&u32::from(c)));
    zero.and_then(|zero| char::from_digit(u32::from(c) - zero, 10)).unwrap_or(c)
}

/// Every other way to write a word that is [`normal`]: without its marks, and with the letters that stand for them elsewhere
/// (ö as o and oe, ß as ss). Without the word itself; the plainest comes first.
pub(super) fn spellings(word: &str) -> Vec<String> {
    if word.is_ascii() {
        return Vec::new();
    }
    let letters: Vec<(String, &'static str)> = word.chars().map(plain).collect();
    let alternatives = letters.iter().filter(|(_, other)| !other.is_empty()).count();
    let mut all = vec![String::with_capacity(word.len())];
    let takes_all = alternatives < 32 && 1_usize << alternatives <= MAX_SPELLINGS;
    if takes_all {
        for (first, other) in &letters {
            let longer = all.clone();
            for text in &mut all {
                text.push_str(first);
            }
            if !other.is_empty() {
                all.extend(longer.into_iter().map(|text| text + other));
            }
        }
    } else {
        let last = letters.iter().map(|(first, other)| if other.is_empty() { first } else { *other });
        let last: String = last.collect();
        all = vec![letters.iter().map(|(first, _)| first.as_str()).collect(), last];
    }
    // Marks may stand apart from their letter.
    let mut found: Vec<String> = Vec::with_capacity(all.len());
    for text in all {
        if text != word && !text.is_empty() && !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// A letter without its marks, and what else stands for it.
fn plain(c: char) -> (String, &'static str) {
    let other = match c {
        'ä' | 'æ' => "ae",
        'ö' | 'ø' => "oe",
        'ü' => "ue",
        'å' => "aa",
        'đ' => "dj",
        'ð' => "dh",
        _ => "",
    };
    let special = match c {
        'ß' => "ss",
        'æ' => "a",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'ŋ' => "n",
        'ŧ' => "t",
        'ƒ' => "f",
        'ґ' => "г",
        'ى' | 'ی' => "ي",
        'ة' => "ه",
        'ک' => "ك",
        'ـ' => "",
        _ => {
            let bare = unmarked(c);
            let mut letters = bare.chars();
            // "ǿ" is "ø" with a mark, and "ø" is "o".
            return match (letters.next(), letters.next()) {
                (Some(letter), None) if letter != c && other.is_empty() => plain(letter),
                _ => (bare, other),
            };
        }
    };
    (special.to_owned(), other)
}

/// Marks are part of what is written in most scripts; where they are not, they go.
fn unmarked(c: char) -> String {
    let drops_marks = |c: char| matches!(u32::from(c), 0..=0x05ff | 0x0600..=0x06ff | 0x1e00..=0x1fff);
    if is_combining_mark(c) {
        let is_of_these = matches!(u32::from(c), 0x0300..=0x036f | 0x0483..=0x0487 | 0x0591..=0x05c7 | 0x0610..=0x061a | 0x064b..=0x065f | 0x0670 | 0x06d6..=0x06ed | 0x20d0..=0x20ff);
        return if is_of_these { String::new() } else { c.to_string() };
    }
    if c.is_ascii() || !drops_marks(c) {
        return c.to_string();
    }
    std::iter::once(c).nfd().filter(|c| !is_combining_mark(*c)).collect()
}

/// The text as SKUs are compared by: in any case, in any form, with single blanks; marks count.
pub(in crate::search) fn compared(text: &str) -> String {
    key(&normal(text)).replace('ß', "ss")
}

/// The text as names are sorted by: without case and marks.
pub(in crate::search) fn sorted(text: &str) -> String {
    let text = key(&normal(text));
    spellings(&text).into_iter().next().unwrap_or(text)
}

fn key(normal: &str) -> String {
    let words: Vec<&str> = normal.split_whitespace().collect();
    words.join(" ").chars().take(MAX_KEY).collect()
}
