//! Takes out of a cell what people cannot see and the catalog does not take, and says that it did.

/// A text after cleaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    pub(crate) text: String,
    /// How many characters were taken out or became blanks.
    pub(crate) changes: usize,
}

/// Cleans a text of one line: new lines, tabs and other control characters become one blank, every other kind of space too.
pub(crate) fn one_line(text: &str) -> Cleaned {
    let mut cleaned = clean(text, |_| false);
    let before = cleaned.text.chars().filter(|c| is_filler(*c) || is_space(*c)).count();
    if before > 0 {
        let chars = cleaned.text.chars().filter(|c| !is_filler(*c));
        let text: String = chars.map(|c| if is_space(c) { ' ' } else { c }).collect();
        text.trim().clone_into(&mut cleaned.text);
        cleaned.changes += before;
    }
    cleaned
}

/// Cleans a text of many lines: new lines and tabs stay, and soft hyphens.
pub(crate) fn lines(text: &str) -> Cleaned {
    clean(text, |c| matches!(c, '\n' | '\r' | '\t'))
}

fn clean(text: &str, stays: fn(char) -> bool) -> Cleaned {
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let right_to_left = text.contains(|c: char| ('\u{590}'..='\u{8ff}').contains(&c) && c.is_alphabetic());
    let chars: Vec<char> = text.chars().collect();
    let (mut cleaned, mut changes) = (String::with_capacity(text.len()), 0);
    for (at, &c) in chars.iter().enumerate() {
        let neighbours = [at.checked_sub(1).and_then(|at| chars.get(at)), chars.get(at + 1)];
        if (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) && !stays(c) {
            changes += 1;
            if !cleaned.ends_with(' ') {
                cleaned.push(' ');
            }
        } else if (is_mark(c) && !right_to_left)
            || (is_invisible(c) && !stays(c) && !neighbours.iter().all(|it| it.is_some_and(|c| needs(*c))))
        {
            changes += 1;
        } else {
            cleaned.push(c);
        }
    }
    Cleaned { text: cleaned, changes }
}

/// Characters that show nothing and are left behind by editors and web pages. Some scripts need some of them, see [`needs`].
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{180e}' | '\u{fff9}'..='\u{fffc}')
}

/// Marks of direction: only texts that are written from right to left need them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// What may stand in a text of many lines, but only hides in one of one line: the soft hyphen, the grapheme joiner, fillers.
fn is_filler(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
    )
}

/// The space separators of Unicode, but for the plain one.
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Neighbours between which an invisible character may mean something: then the catalog's own rule decides.
fn needs(c: char) -> bool {
    c > '\u{58f}' && !c.is_whitespace() && !('\u{1e00}'..='\u{206f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_goes_and_what_is_seen_stays() {
        for (text, expected, changes) in [
            ("\u{feff}Tee", "Tee", 0),
            ("T\u{200b}ee", "Tee", 1),
            ("two\nlines", "two lines", 1),
            ("two\r\nlines", "two lines", 2),
            ("a\u{202e}b\u{202c}", "ab", 1),
            ("a\u{2028}b", "a b", 1),
            ("Crème  Brûlée", "Crème  Brûlée", 0),
            ("Kaffee\u{ad}maschine", "Kaffeemaschine", 1),
            ("a\u{34f}b\u{3164}", "ab", 2),
            ("\u{ad} \u{115f}", "", 2),
            ("100\u{a0}% \u{2009}wool\u{3000}x", "100 %  wool x", 3),
            ("family 👨\u{200d}👩\u{200d}👧", "family 👨\u{200d}👩\u{200d}👧", 0),
            ("می\u{200c}خواهم", "می\u{200c}خواهم", 0),
            ("Donau\u{ad}dampf\u{fffc}", "Donaudampf", 1),
            ("a\u{200e}b", "ab", 1),
            ("שלום \u{200e}iPhone", "שלום \u{200e}iPhone", 0),
            ("ไทย\u{200b}ไทย", "ไทย\u{200b}ไทย", 0),
        ] {
            assert_eq!(one_line(text), Cleaned { text: expected.to_owned(), changes }, "{text:?}");
        }
        assert_eq!(lines(" a\n\tb\u{0}c\u{ad}d ").text, "a\n\tb c\u{ad}d");
        assert_eq!(lines("soft\u{ad}ly 5\u{a0}cm").text, "soft\u{ad}ly 5\u{a0}cm");
    }
}
