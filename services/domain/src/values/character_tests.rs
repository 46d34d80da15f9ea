//! Which characters a text may hold, by tables: what people write in every script, and what only hides or disturbs.

use super::*;

/// Written as people of that script write it.
const GOOD: &[(&str, &str)] = &[
    ("a family", "Set \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}"),
    ("a couple with skin tones", "\u{1f469}\u{1f3fd}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f468}\u{1f3ff}"),
    ("a heart on fire", "\u{2764}\u{fe0f}\u{200d}\u{1f525} Chili"),
    ("a runner to the right", "\u{1f3c3}\u{200d}\u{2640}\u{fe0f}\u{200d}\u{27a1}\u{fe0f}"),
    ("a rainbow flag", "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}"),
    ("a pirate flag", "\u{1f3f4}\u{200d}\u{2620}\u{fe0f}"),
    ("the flag of Germany", "\u{1f1e9}\u{1f1ea} Gin"),
    ("the flag of Scotland", "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Whisky"),
    ("keycaps", "#\u{fe0f}\u{20e3} 1\u{fe0f}\u{20e3}"),
    ("text style", "\u{2764}\u{fe0e} love"),
    (
        "Persian",
        "\u{6a9}\u{62a}\u{627}\u{628}\u{200c}\u{647}\u{627} \u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{646}\u{645}",
    ),
    ("a Persian abbreviation", "\u{6f1}\u{6f4}\u{6f0}\u{6f0} \u{647}\u{200d}.\u{634}."),
    ("Hindi", "\u{930}\u{94d}\u{200d}\u{92f} \u{915}\u{94d}\u{200d}\u{937} \u{915}\u{94d}\u{200c}\u{937}"),
    ("Malayalam", "\u{d05}\u{d35}\u{d28}\u{d4d}\u{200d} \u{d15}\u{d4d}\u{200d}"),
    ("Bengali", "\u{9b0}\u{200d}\u{9cd}\u{9af}\u{9be}\u{9ac}"),
    ("Sinhala", "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3} \u{dbd}\u{d82}\u{d9a}\u{dcf}"),
    ("Tamil", "\u{b95}\u{bcd}\u{200c}\u{bb7}"),
    ("Persian with a Latin word", "USB\u{200c}\u{647}\u{627}"),
    ("Kannada", "\u{cb0}\u{200d}\u{ccd}\u{c95}"),
    ("Mongolian", "\u{1828}\u{1820}\u{1837}\u{180e}\u{1820}"),
    ("Thai with places to break", "\u{e2a}\u{e27}\u{e31}\u{e2a}\u{200b}\u{e14}\u{e35}"),
    ("Lao with places to break", "\u{eaa}\u{eb0}\u{200b}\u{e9a}\u{eb2}"),
    (
        "Khmer with places to break",
        "\u{1797}\u{17b6}\u{179f}\u{17b6}\u{200b}\u{1781}\u{17d2}\u{1798}\u{17c2}\u{179a}",
    ),
    ("Burmese with places to break", "\u{1019}\u{103c}\u{1014}\u{103a}\u{200b}\u{1019}\u{102c}"),
    ("Hebrew with marks of direction", "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{200e}iPhone 15\u{200f}!"),
    ("Arabic with marks of direction", "\u{61c}\u{647}\u{627}\u{62a}\u{641} \u{200f}(256 GB)\u{200e}"),
    ("an ideograph's variant", "\u{8fbb}\u{e0100}"),
    ("Vietnamese", "C\u{e0} ph\u{ea} s\u{1eef}a \u{111}\u{e1}"),
    ("Korean", "\u{ac15}\u{b0a8}\u{c2a4}\u{d0c0}\u{c77c}"),
    ("old Korean", "\u{1100}\u{119e}\u{11ab}"),
    ("a non-joiner at the end of a Sorani word", "\u{62f}\u{647}\u{200c} \u{645}\u{647}\u{200c}"),
    ("a non-joiner before a Latin word", "\u{627}\u{200c}a"),
    ("a non-joiner after a bracket", "(USB)\u{200c}\u{647}\u{627}"),
    ("Thai with a place to break before a word", "\u{e2a}\u{e27}\u{200b} Ring"),
    ("Thai with a place to break after a word", "Ring\u{200b}\u{e2a}\u{e27}"),
    ("Chakma", "\u{11107}\u{11133}\u{200d}\u{11124} \u{11107}\u{11133}\u{200d}"),
    ("Grantha", "\u{11315}\u{1134d}\u{200d}"),
    ("Hebrew marks in their order", "\u{5d0}\u{5b7}\u{34f}\u{5b4}"),
    ("a sign as a picture", "Acme\u{2122}\u{fe0f} 5\u{20ac}\u{fe0e}"),
    ("a set's other form", "a \u{2229}\u{fe00} b"),
    ("a Mongolian letter's variant", "\u{1828}\u{180b}\u{1820}"),
    ("Japanese", "\u{304b}\u{3099}\u{30ac}\u{3000}\u{6f22}"),
    ("Chinese", "\u{6c49}\u{5b57} 2.0"),
    (
        "punctuation of all kinds",
        "5\u{2032} \u{d7} 7\u{2033} \u{2013} \u{201e}A/B\u{201c} \\ ~ = , . | * [x]? \u{20ac}",
    ),
    ("a mark alone", "\u{301}"),
    ("private use", "\u{f8ff} Watch"),
];

/// Refused, with the character that is named.
const BAD: &[(&str, &str, &str)] = &[
    ("an invisible space alone", "\u{200b}", "U+200B"),
    ("a byte order mark alone", "\u{feff}", "U+FEFF"),
    ("a byte order mark before", "\u{feff}Ring", "U+FEFF"),
    ("an invisible space in a word", "Ri\u{200b}ng", "U+200B"),
    ("an invisible space far from Thai", "\u{e2a}\u{e27} \u{200b} Ring", "U+200B"),
    ("a mark of direction in a Latin text", "Ring\u{200e}", "U+200E"),
    ("a mark of direction among digits", "12\u{200f}", "U+200F"),
    ("an Arabic mark without a letter", "\u{61c}\u{661}", "U+061C"),
    ("a form that no letter has", "a\u{fe0f}", "U+FE0F"),
    ("a form of nothing", "\u{fe0f}", "U+FE0F"),
    ("a second form", "\u{2764}\u{fe0f}\u{fe0f}", "U+FE0F"),
    ("a variant that no letter has", "a\u{e0100}", "U+E0100"),
    ("a Mongolian form elsewhere", "a\u{180b}", "U+180B"),
    ("an object", "a\u{fffc}", "U+FFFC"),
    ("an override", "Ring \u{202e}gnp.exe", "U+202E"),
    ("an embedding", "\u{202a}Ring\u{202c}", "U+202A"),
    ("its end alone", "Ring\u{202c}", "U+202C"),
    ("a left-to-right override", "\u{202d}Ring", "U+202D"),
    ("an isolate", "a \u{2066}b\u{2069}", "U+2066"),
    ("a first strong isolate", "\u{2068}a\u{2069}", "U+2068"),
    ("an end of an isolate in Arabic", "\u{627}\u{2069}\u{628}", "U+2069"),
    ("a line separator", "a\u{2028}b", "U+2028"),
    ("a line separator at the end", "Ring\u{2028}", "U+2028"),
    ("a paragraph separator", "a\u{2029}b", "U+2029"),
    ("a next line at the end", "Ring\u{85}", "U+0085"),
    ("a null", "a\u{0}b", "U+0000"),
    ("an escape", "a\u{1b}[31mb", "U+001B"),
    ("a delete", "a\u{7f}", "U+007F"),
    ("a control of the second set", "a\u{9f}b", "U+009F"),
    ("a word joiner", "a\u{2060}b", "U+2060"),
    ("an invisible plus", "a\u{2064}b", "U+2064"),
    ("a deprecated control", "a\u{206f}b", "U+206F"),
    ("a Mongolian separator elsewhere", "a\u{180e}b", "U+180E"),
    ("an interlinear anchor", "\u{fff9}a\u{fffa}b\u{fffb}", "U+FFF9"),
    ("a musical control", "\u{1d173}a", "U+1D173"),
    ("a shorthand control", "a\u{1bca0}", "U+1BCA0"),
    ("a language tag", "a\u{e0001}", "U+E0001"),
    ("tags after a letter", "a\u{e0061}\u{e007f}", "U+E0061"),
    ("tags after another emoji", "\u{1f600}\u{e0061}\u{e007f}", "U+E0061"),
    ("tags without an end", "\u{1f3f4}\u{e0067}\u{e0062}", "U+E0062"),
    ("an end of tags alone", "\u{1f3f4}\u{e007f}", "U+E007F"),
    ("a noncharacter", "a\u{fdd0}", "U+FDD0"),
    ("the last code point", "a\u{10ffff}", "U+10FFFF"),
    ("a joiner in a Latin word", "Ap\u{200d}ple", "U+200D"),
    ("a non-joiner in a Latin word", "Ap\u{200c}ple", "U+200C"),
    ("a joiner in a Greek word", "\u{3b1}\u{200d}\u{3b2}", "U+200D"),
    ("a non-joiner in a Cyrillic word", "\u{430}\u{200c}\u{431}", "U+200C"),
    ("a joiner between digits", "1\u{200d}2", "U+200D"),
    ("a joiner between Chinese", "\u{6c49}\u{200d}\u{5b57}", "U+200D"),
    ("a joiner alone", "\u{200d}", "U+200D"),
    ("a joiner at the end", "Ring\u{200d}", "U+200D"),
    ("a joiner after an emoji", "\u{1f469}\u{200d}", "U+200D"),
    ("a joiner between an emoji and a letter", "\u{1f469}\u{200d}a", "U+200D"),
    ("a non-joiner between emoji", "\u{1f469}\u{200c}\u{1f469}", "U+200C"),
    ("a second non-joiner", "\u{645}\u{6cc}\u{200c}\u{200c}\u{62e}", "U+200C"),
    ("a second non-joiner at the end", "\u{645}\u{6cc}\u{200c}\u{200c}", "U+200C"),
    ("a joiner before a non-joiner", "\u{645}\u{200d}\u{200c}\u{645}", "U+200D"),
    ("a non-joiner at the beginning", "\u{200c}\u{647}\u{627}", "U+200C"),
    ("a non-joiner after a space", "USB \u{200c}\u{647}\u{627}", "U+200C"),
    ("a non-joiner between digits", "1\u{200c}2", "U+200C"),
    ("a non-joiner at the end of a Latin word", "Ring\u{200c}", "U+200C"),
];

/// Fillers: not in texts on one line, and no description by themselves.
const FILLERS: &[(&str, &str)] = &[
    ("\u{ad}", "U+00AD"),
    ("\u{34f}", "U+034F"),
    ("\u{115f}", "U+115F"),
    ("\u{1160}", "U+1160"),
    ("\u{17b4}", "U+17B4"),
    ("\u{17b5}", "U+17B5"),
    ("\u{3164}", "U+3164"),
    ("\u{ffa0}", "U+FFA0"),
];

type Parse = fn(&str) -> Result<String, ValueError>;

/// Every value that is a text, by name.
fn texts() -> Vec<(&'static str, Parse)> {
    macro_rules! texts {
        ($($value:ident),*) => { vec![$((stringify!($value), |text| $value::parse(text).map(|it| it.to_string()))),*] };
    }
    texts![Sku, Name, Brand, Description, Reason, AttributeName, AttributeValue, Tag, CategoryPath]
}

#[test]
fn what_people_write_is_kept() {
    for (value, parse) in texts() {
        for (what, text) in GOOD {
            // In a category the slash is no letter.
            let text = if value == "CategoryPath" { text.replace('/', "-") } else { (*text).to_owned() };
            let kept = parse(&text).unwrap_or_else(|error| panic!("{value}: {what}: {error}"));
            assert_eq!(parse(&kept).unwrap(), kept, "{value}: {what}");
            let dropped = text.chars().filter(|c| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}')).count();
            let left = kept.chars().filter(|c| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}')).count();
            assert_eq!(dropped, left, "{value}: {what}: nothing is taken out");
        }
    }
}

#[test]
fn what_hides_or_disturbs_is_refused_by_name() {
    for (value, parse) in texts() {
        for (what, text, named) in BAD {
            let error = parse(text).expect_err(&format!("{value}: {what}"));
            assert!(error.problem.contains(&format!("must not hold {named}, ")), "{value}: {what}: {error}");
        }
    }
}

#[test]
fn what_shows_nothing_is_no_text() {
    for (value, parse) in texts() {
        for text in ["\u{2800}", "\u{2800}\u{a0}\u{2003}\u{2800}"] {
            let error = parse(text).expect_err(&format!("{value}: {text:?}"));
            assert!(error.problem.contains("must show something"), "{value}: {text:?}: {error}");
            parse(&format!("a{text}")).unwrap_or_else(|error| panic!("{value}: beside a letter: {error}"));
        }
        for (filler, named) in FILLERS {
            let (alone, error) = (parse(filler).expect_err(value), parse(&format!("a{filler}b")));
            if value == "Description" {
                assert!(alone.problem.contains("must show something"), "{named}: {alone}");
                error.unwrap_or_else(|error| panic!("{named} in a description: {error}"));
            } else {
                assert!(alone.problem.contains(&format!("must not hold {named}, ")), "{value}: {alone}");
                assert!(error.unwrap_err().problem.contains(named), "{value}");
            }
        }
    }
}

#[test]
fn a_line_has_one_kind_of_space() {
    let spaces = [
        '\u{a0}', '\u{1680}', '\u{2000}', '\u{2003}', '\u{2009}', '\u{200a}', '\u{202f}', '\u{205f}',
        '\u{3000}',
    ];
    for (value, parse) in texts() {
        for space in spaces {
            let kept = parse(&format!("10{space}kg")).unwrap();
            assert_eq!(kept == "10 kg", value != "Description", "{value}: {kept:?}");
        }
    }
}

#[test]
fn one_text_has_one_spelling() {
    for (value, parse) in texts() {
        for (written, kept) in [
            ("Cre\u{300}me Bru\u{302}le\u{301}e", "Cr\u{e8}me Br\u{fb}l\u{e9}e"),
            ("Nestle\u{301}", "Nestl\u{e9}"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            ("q\u{307}\u{323}", "q\u{323}\u{307}"),
            ("\u{30ab}\u{3099}", "\u{30ac}"),
            ("\u{3000}Ring\u{a0}\u{2003}\t", "Ring"),
        ] {
            assert_eq!(parse(written).unwrap(), kept, "{value}");
        }
        // What only looks alike stays apart.
        assert_ne!(parse("\u{fb01}sh \u{ff21}").unwrap(), parse("fish A").unwrap(), "{value}");
    }
}

/// Each character is looked at with its neighbours: that must not take longer the more neighbours there are.
#[test]
fn long_runs_of_odd_characters_are_refused_in_no_time() {
    for (head, odd) in [
        ("\u{1f3f4}", '\u{e0061}'),
        ("", '\u{fe0f}'),
        ("", '\u{1f3fb}'),
        ("\u{915}", '\u{200d}'),
        ("a", '\u{301}'),
        ("\u{1f469}\u{200d}", '\u{1f469}'),
        ("", '\u{e2a}'),
        ("\u{5d0}", '\u{200e}'),
        ("", '\u{200e}'),
    ] {
        let text = head.to_owned() + &odd.to_string().repeat(300_000);
        let since = std::time::Instant::now();
        Description::parse(&text).expect_err("it is too long");
        assert!(since.elapsed().as_secs() < 5, "{odd:?} took {:?}", since.elapsed());
    }
}

#[test]
fn only_descriptions_have_lines() {
    for (value, parse) in texts() {
        for text in ["a\nb", "a\r\nb", "a\tb"] {
            assert_eq!(parse(text).is_ok(), value == "Description", "{value}: {text:?}");
        }
        for text in ["a\u{b}b", "a\u{c}b", "a\u{85}b", "a\u{2028}b"] {
            assert!(parse(text).is_err(), "{value}: {text:?}");
        }
    }
}

#[test]
fn lengths_are_those_of_the_text_as_it_is_kept() {
    let decomposed = "e\u{301}".repeat(200);
    assert_eq!(Name::parse(&decomposed).unwrap().as_str().chars().count(), 200);
    assert!(Name::parse(&"e\u{301}".repeat(201)).unwrap_err().problem.contains("but has 201"));
    // One that composition takes apart.
    assert!(Tag::parse(&"\u{958}".repeat(64)).unwrap_err().problem.contains("but has 128"));
}

#[test]
fn what_is_cleaned_loses_only_what_is_refused() {
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
        assert_eq!(characters::clean_line(text), (expected.to_owned(), changes), "{text:?}");
    }
    assert_eq!(characters::clean_lines(" a\n\tb\u{0}c\u{ad}d ").0, "a\n\tb c\u{ad}d");
    assert_eq!(characters::clean_lines("soft\u{ad}ly 5\u{a0}cm").0, "soft\u{ad}ly 5\u{a0}cm");
    for (what, text) in GOOD {
        assert_eq!(characters::clean_line(text).0, text.replace('\u{3000}', " "), "{what}");
    }
    // However it was spoilt, what is left is taken.
    for (what, text, _) in BAD {
        let cleaned = characters::clean_line(text).0;
        assert!(characters::check(&cleaned, false).is_ok(), "{what}: {cleaned:?}");
    }
}
