//! Which characters a text may hold: what people write in any script stays, what only hides or disturbs is refused.
//!
//! Promises: a refusal names the character as `U+XXXX`; joiners stay where the script or the emoji beside them needs them;
//! what shows nothing does not make a text; two texts on one line that look alike differ in no space or filler.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::ops::RangeInclusive;

type Ranges = &'static [RangeInclusive<char>];

/// Embeddings, overrides and isolates: they reorder what stands beside the text. Marks of direction do not.
const REORDERING: Ranges = &['\u{202A}'..='\u{202E}', '\u{2066}'..='\u{2069}'];

/// Invisible and of no use in any text here.
const INVISIBLE: Ranges = &[
    '\u{2060}'..='\u{2065}',
    '\u{206A}'..='\u{206F}',
    '\u{FEFF}'..='\u{FEFF}',
    '\u{FFF0}'..='\u{FFFB}',
    '\u{1BCA0}'..='\u{1BCA3}',
    '\u{1D173}'..='\u{1D17A}',
    '\u{E0000}'..='\u{E001F}',
    '\u{E0080}'..='\u{E00FF}',
    '\u{E01F0}'..='\u{E0FFF}',
];

/// Refused in texts on one line, where nothing shows that they are there.
const FILLERS: Ranges = &[
    '\u{AD}'..='\u{AD}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{3164}'..='\u{3164}',
    '\u{FFA0}'..='\u{FFA0}',
];

/// Where letters are written from right to left; digits and marks are there too.
const RIGHT_TO_LEFT: Ranges = &[
    '\u{590}'..='\u{8FF}',
    '\u{FB1D}'..='\u{FDFF}',
    '\u{FE70}'..='\u{FEFC}',
    '\u{10800}'..='\u{10FFF}',
    '\u{1E800}'..='\u{1EFFF}',
];

const HEBREW: Ranges = &['\u{591}'..='\u{5F4}', '\u{FB1D}'..='\u{FB4F}'];

/// Allowed beside what shows, but nothing by itself: marks of direction, variation selectors, fillers, the soft hyphen.
const SHOWS_NOTHING: Ranges = &[
    '\u{AD}'..='\u{AD}',
    '\u{34F}'..='\u{34F}',
    '\u{61C}'..='\u{61C}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180B}'..='\u{180F}',
    '\u{200B}'..='\u{200F}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{FE00}'..='\u{FE0F}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{13430}'..='\u{1345F}',
    '\u{16FE4}'..='\u{16FE4}',
    '\u{1D159}'..='\u{1D159}',
    '\u{E0000}'..='\u{E0FFF}',
];

/// Scripts whose letters change their form beside each other.
const CURSIVE: Ranges = &[
    '\u{600}'..='\u{77F}',
    '\u{7C0}'..='\u{7FF}',
    '\u{840}'..='\u{8FF}',
    '\u{1800}'..='\u{18AF}',
    '\u{A840}'..='\u{A87F}',
    '\u{FB50}'..='\u{FDFF}',
    '\u{FE70}'..='\u{FEFC}',
    '\u{10AC0}'..='\u{10AFF}',
    '\u{10B80}'..='\u{10BAF}',
    '\u{10D00}'..='\u{10D3F}',
    '\u{10EC0}'..='\u{10FDF}',
    '\u{1E900}'..='\u{1E95F}',
];

/// Scripts of India and their relatives, and Hebrew: joiners choose among the forms of letters and marks.
const CONJUNCT: Ranges = &[
    '\u{591}'..='\u{5F4}',
    '\u{900}'..='\u{DFF}',
    '\u{F00}'..='\u{109F}',
    '\u{1700}'..='\u{17FF}',
    '\u{1900}'..='\u{1AAF}',
    '\u{1B00}'..='\u{1C4F}',
    '\u{1CD0}'..='\u{1CFF}',
    '\u{A800}'..='\u{A82F}',
    '\u{A880}'..='\u{A8FF}',
    '\u{A930}'..='\u{A95F}',
    '\u{A980}'..='\u{AAFF}',
    '\u{ABC0}'..='\u{ABFF}',
    '\u{11000}'..='\u{11FFF}',
    '\u{10A00}'..='\u{10A5F}',
    '\u{16100}'..='\u{1613F}',
    '\u{1E5D0}'..='\u{1E5FF}',
];

/// Signs that take the vowel of the letter before them: a joiner after one is meant, whatever follows.
const VIRAMAS: &[char] = &[
    '\u{94D}',
    '\u{9CD}',
    '\u{A4D}',
    '\u{ACD}',
    '\u{B4D}',
    '\u{BCD}',
    '\u{C4D}',
    '\u{CCD}',
    '\u{D3B}',
    '\u{D3C}',
    '\u{D4D}',
    '\u{DCA}',
    '\u{F84}',
    '\u{1039}',
    '\u{103A}',
    '\u{1714}',
    '\u{17D2}',
    '\u{1A60}',
    '\u{1B44}',
    '\u{1BAA}',
    '\u{1BAB}',
    '\u{A806}',
    '\u{A8C4}',
    '\u{A953}',
    '\u{A9C0}',
    '\u{AAF6}',
    '\u{ABED}',
    '\u{1715}',
    '\u{1734}',
    '\u{1BF2}',
    '\u{1BF3}',
    '\u{A82C}',
    '\u{10A3F}',
    '\u{11046}',
    '\u{11070}',
    '\u{1107F}',
    '\u{110B9}',
    '\u{11133}',
    '\u{11134}',
    '\u{111C0}',
    '\u{11235}',
    '\u{112EA}',
    '\u{1134D}',
    '\u{113CE}',
    '\u{113CF}',
    '\u{113D0}',
    '\u{11442}',
    '\u{114C2}',
    '\u{115BF}',
    '\u{1163F}',
    '\u{116B6}',
    '\u{1172B}',
    '\u{11839}',
    '\u{1193D}',
    '\u{1193E}',
    '\u{119E0}',
    '\u{11A34}',
    '\u{11A47}',
    '\u{11A99}',
    '\u{11C3F}',
    '\u{11D44}',
    '\u{11D45}',
    '\u{11D97}',
    '\u{11F41}',
    '\u{11F42}',
    '\u{1612F}',
];

/// Scripts that put no spaces between words: there an invisible space says where a line may end.
const WITHOUT_SPACES: Ranges = &[
    '\u{E00}'..='\u{109F}',
    '\u{1780}'..='\u{17FF}',
    '\u{1950}'..='\u{19FF}',
    '\u{1A20}'..='\u{1AAF}',
    '\u{1B00}'..='\u{1B7F}',
    '\u{A980}'..='\u{A9FF}',
    '\u{AA00}'..='\u{AADF}',
];

const MONGOLIAN: Ranges = &['\u{1807}'..='\u{1807}', '\u{1820}'..='\u{18AA}'];

/// What emoji are made of, generously: pictures and symbols, never letters.
const PICTURES: Ranges = &[
    '\u{A9}'..='\u{A9}',
    '\u{AE}'..='\u{AE}',
    '\u{203C}'..='\u{203C}',
    '\u{2049}'..='\u{2049}',
    '\u{2122}'..='\u{2122}',
    '\u{2139}'..='\u{2139}',
    '\u{2190}'..='\u{21FF}',
    '\u{2300}'..='\u{23FF}',
    '\u{24C2}'..='\u{24C2}',
    '\u{25A0}'..='\u{27BF}',
    '\u{2900}'..='\u{297F}',
    '\u{2B00}'..='\u{2BFF}',
    '\u{3030}'..='\u{303D}',
    '\u{3297}'..='\u{3299}',
    '\u{1F000}'..='\u{1FAFF}',
];

/// Beside pictures, what has forms that a variation selector chooses: digits and signs of keycaps, symbols, Chinese and
/// Japanese, and the letters of a few scripts.
const VARYING: Ranges = &[
    '#'..='#',
    '*'..='*',
    '0'..='9',
    '\u{B0}'..='\u{B1}',
    '\u{D7}'..='\u{D7}',
    '\u{F7}'..='\u{F7}',
    '\u{1000}'..='\u{109F}',
    '\u{2030}'..='\u{205E}',
    '\u{20A0}'..='\u{20CF}',
    '\u{2100}'..='\u{214F}',
    '\u{2190}'..='\u{2BFF}',
    '\u{A840}'..='\u{A87F}',
    '\u{AA60}'..='\u{AA7F}',
    '\u{10AC0}'..='\u{10AFF}',
];
/// Chinese characters and what stands between them.
const IDEOGRAPHIC: Ranges =
    &['\u{2E80}'..='\u{9FFF}', '\u{F900}'..='\u{FAFF}', '\u{FF01}'..='\u{FF60}', '\u{20000}'..='\u{3FFFD}'];

const ZWSP: char = '\u{200B}';
const ZWNJ: char = '\u{200C}';
const ZWJ: char = '\u{200D}';
const VOWEL_SEPARATOR: char = '\u{180E}';
/// Stands for a picture or the like.
const OBJECT: char = '\u{FFFC}';
const BLACK_FLAG: char = '\u{1F3F4}';
/// The most letters and digits that name a region.
const MAX_REGION: usize = 6;
const LAST_TAG: char = '\u{E007F}';

/// Says which character of the text is not allowed, and why. `lines`: new lines and tabs are, and what typesetting needs.
pub(super) fn check(text: &str, lines: bool) -> Result<(), String> {
    // Most texts hold nothing that needs a look at its neighbours.
    if text.is_ascii() {
        return text.chars().find(|c| is_control(*c, lines)).map_or(Ok(()), |c| Err(refusal(c, CONTROL)));
    }
    let right_to_left = LazyCell::new(|| is_right_to_left(text));
    for (at, c) in text.char_indices() {
        let (before, after) = (&text[..at], &text[at + c.len_utf8()..]);
        if let Some(why) = refused(c, before, after, lines, || *right_to_left) {
            return Err(refusal(c, why));
        }
    }
    Ok(())
}

/// The text of one line as [`Name`](super::Name) and the like take it, and how many characters that changed: what is refused
/// goes, or leaves a blank where it separated words; every kind of space becomes the plain one. For texts that were not
/// written for the catalog: what is given to it by hand is refused, not corrected.
pub fn clean_line(text: &str) -> (String, usize) {
    clean(text, false)
}

/// The same for a text of many lines: new lines, tabs and what typesetting needs stay.
pub fn clean_lines(text: &str) -> (String, usize) {
    clean(text, true)
}

fn clean(text: &str, lines: bool) -> (String, usize) {
    let mut cleaned = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c)).to_owned();
    let mut changes = 0;
    // Until nothing changes: what stands because of its neighbours may lose them.
    loop {
        let (next, more) = without_refused(&cleaned, lines);
        if more == 0 {
            return (cleaned.trim().to_owned(), changes);
        }
        (cleaned, changes) = (next, changes + more);
    }
}

fn without_refused(text: &str, lines: bool) -> (String, usize) {
    let right_to_left = LazyCell::new(|| is_right_to_left(text));
    let (mut cleaned, mut changes) = (String::with_capacity(text.len()), 0);
    for (at, c) in text.char_indices() {
        if !lines && is_other_space(c) {
            changes += 1;
            cleaned.push(' ');
        } else if refused(c, &cleaned, &text[at + c.len_utf8()..], lines, || *right_to_left).is_none() {
            cleaned.push(c);
        } else {
            changes += 1;
            if (c.is_control() || is_separator(c)) && !cleaned.ends_with(' ') {
                cleaned.push(' ');
            }
        }
    }
    (cleaned, changes)
}

/// Whether anything of the text can be seen.
pub(super) fn shows_something(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_in(c, SHOWS_NOTHING))
}

/// Space at the ends of a text is not part of it. What separates lines or pages in a way of its own is no space.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() && c != '\u{85}' && !is_separator(c))
}

/// The text with one kind of space. All others look like it.
pub(super) fn one_space(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_other_space) {
        text
    } else {
        Cow::Owned(text.replace(is_other_space, " "))
    }
}

fn is_other_space(c: char) -> bool {
    matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}')
}

fn is_control(c: char, lines: bool) -> bool {
    c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))
}

fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Of no use at the ends of any text.
fn is_invisible(c: char) -> bool {
    matches!(c, ZWSP | VOWEL_SEPARATOR | OBJECT) || is_in(c, REORDERING) || is_in(c, INVISIBLE)
}

fn is_right_to_left(text: &str) -> bool {
    text.chars().any(|c| c.is_alphabetic() && is_in(c, RIGHT_TO_LEFT))
}

const CONTROL: &str = "a control character";
const NEEDLESS: &str = "a joiner that the characters beside it do not need";
const NO_VARIANT: &str = "which chooses a form that the character before it does not have";

fn refusal(c: char, why: &str) -> String {
    format!("must not hold U+{:04X}, {why}: take it out", u32::from(c))
}

fn is_filler(c: char, before: &str, after: &str) -> bool {
    let is_hebrew = |c: Option<char>| c.is_some_and(|c| is_in(c, HEBREW));
    match c {
        // It keeps Hebrew's marks in their order.
        '\u{34F}' => !is_hebrew(before.chars().next_back()) && !is_hebrew(after.chars().next()),
        c => is_in(c, FILLERS),
    }
}

/// Why a character may not stand here.
fn refused(
    c: char,
    before: &str,
    after: &str,
    lines: bool,
    right_to_left: impl FnOnce() -> bool,
) -> Option<&'static str> {
    let last = before.chars().next_back();
    match c {
        _ if is_control(c, lines) => Some(CONTROL),
        '\u{200E}' | '\u{200F}' | '\u{61C}' => {
            (!right_to_left()).then_some("a mark of direction that only texts from right to left need")
        }
        _ if !lines && is_filler(c, before, after) => Some("which cannot be seen"),
        _ if is_separator(c) => Some("a line separator"),
        OBJECT => Some("which stands for what is not in the text"),
        ZWSP => {
            let has_none = |c: Option<char>| c.is_some_and(|c| is_in(c, WITHOUT_SPACES));
            (!has_none(last) && !has_none(after.chars().next()))
                .then_some("an invisible space that only scripts without spaces need")
        }
        ZWNJ => (!separates(last, after.chars().next())).then_some(NEEDLESS),
        ZWJ => (!joins(before, after)).then_some(NEEDLESS),
        '\u{FE00}'..='\u{FE0F}' => {
            let varies = |c| is_in(c, PICTURES) || is_in(c, VARYING) || is_in(c, IDEOGRAPHIC);
            (!last.is_some_and(varies)).then_some(NO_VARIANT)
        }
        '\u{180B}'..='\u{180D}' | '\u{180F}' => {
            (!last.is_some_and(|c| is_in(c, MONGOLIAN))).then_some(NO_VARIANT)
        }
        '\u{E0100}'..='\u{E01EF}' => (!last.is_some_and(|c| is_in(c, IDEOGRAPHIC))).then_some(NO_VARIANT),
        VOWEL_SEPARATOR => {
            let is_letter = |c: Option<char>| c.is_some_and(|c| is_in(c, MONGOLIAN));
            (!is_letter(last) || !is_letter(after.chars().next())).then_some("an invisible character")
        }
        '\u{E0020}'..=LAST_TAG => (!is_of_a_flag(c, before, after)).then_some("an invisible tag"),
        _ if is_in(c, REORDERING) => Some("which reorders the text around it"),
        _ if is_in(c, INVISIBLE) => Some("an invisible character"),
        _ if is_noncharacter(c) => Some("which is no character"),
        _ => None,
    }
}

/// Whether a non-joiner does something here: after a letter that joins, also at the end of a word, or before an ending of
/// a cursive script that a word of another one takes.
fn separates(last: Option<char>, next: Option<char>) -> bool {
    let Some(last) = last.filter(|last| !matches!(*last, ZWNJ | ZWJ)) else { return false };
    is_in(last, CURSIVE)
        || is_in(last, CONJUNCT)
        || (!last.is_whitespace() && next.is_some_and(|next| is_in(next, CURSIVE)))
}

/// Whether a joiner does something between these texts that can be seen.
fn joins(before: &str, after: &str) -> bool {
    let next = after.chars().next();
    let Some(last) = before.chars().next_back() else {
        return next.is_some_and(|next| is_in(next, CURSIVE));
    };
    if VIRAMAS.contains(&last) {
        return true;
    }
    let has_forms = |c: char| is_in(c, CURSIVE) || is_in(c, CONJUNCT);
    if has_forms(last) && next.is_some_and(has_forms) {
        return true;
    }
    // At the end of a word it keeps a letter in the form it has inside of one.
    let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, ZWNJ | ZWJ));
    (is_in(last, CURSIVE) && ends(next))
        || (next.is_some_and(|next| is_in(next, CURSIVE)) && ends(Some(last)))
        || (ends_with_picture(before) && next.is_some_and(|next| is_in(next, PICTURES)))
}

/// Whether the last thing is a picture, whatever its colour or style.
fn ends_with_picture(before: &str) -> bool {
    let picture =
        before.chars().rev().find(|c| !matches!(c, '\u{FE0E}' | '\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}'));
    picture.is_some_and(|c| is_in(c, PICTURES))
}

/// Whether a tag belongs to the flag of a region: a black flag, letters and digits, and the last tag.
fn is_of_a_flag(tag: char, before: &str, after: &str) -> bool {
    let is_name = |c: &char| matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}');
    // Looked at from each of its tags: what is longer than any name is not walked to its end.
    let named = before.chars().rev().take(MAX_REGION + 1).take_while(is_name).count();
    let follows_flag = before.chars().rev().nth(named) == Some(BLACK_FLAG);
    match tag {
        LAST_TAG => follows_flag && (1..=MAX_REGION).contains(&named),
        tag => {
            let next = after.chars().next();
            follows_flag && is_name(&tag) && next.is_some_and(|c| c == LAST_TAG || is_name(&c))
        }
    }
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE
}

fn is_in(c: char, ranges: Ranges) -> bool {
    ranges.iter().any(|range| range.contains(&c))
}
