//! What an English word may be the plural of.
//!
//! A guess costs little: it is one more form, and meets only a word that is written so. So the rules name each singular there
//! may be ("axes": axe, ax) and none for what is no plural ("glass", "bus").

const IRREGULAR: [(&str, &str); 29] = [
    ("children", "child"),
    ("feet", "foot"),
    ("geese", "goose"),
    ("men", "man"),
    ("mice", "mouse"),
    ("people", "person"),
    ("teeth", "tooth"),
    ("women", "woman"),
    ("loaves", "loaf"),
    ("dice", "die"),
    ("lice", "louse"),
    ("oxen", "ox"),
    ("quizzes", "quiz"),
    ("criteria", "criterion"),
    ("cds", "cd"),
    ("pcs", "pc"),
    ("tvs", "tv"),
    ("ads", "ad"),
    ("djs", "dj"),
    ("eps", "ep"),
    ("hrs", "hr"),
    ("ics", "ic"),
    ("ids", "id"),
    ("kgs", "kg"),
    ("lbs", "lb"),
    ("lps", "lp"),
    ("mcs", "mc"),
    ("pjs", "pj"),
    ("yds", "yd"),
];
/// Words that end in "i" or "u" and have a plural; most that seem to are no English ones ("tennis", "bus").
const WITH_VOWEL: [&str; 78] = [
    "alibi",
    "bayou",
    "beau",
    "bijou",
    "bikini",
    "bonsai",
    "bureau",
    "burkini",
    "cannelloni",
    "caribou",
    "chai",
    "chapati",
    "chateau",
    "chili",
    "corgi",
    "cpu",
    "daiquiri",
    "deli",
    "ecu",
    "emoji",
    "emu",
    "flu",
    "gateau",
    "gnocchi",
    "gnu",
    "gpu",
    "guru",
    "haiku",
    "hibachi",
    "hifi",
    "jacuzzi",
    "kepi",
    "khaki",
    "kiwi",
    "koi",
    "lanai",
    "lei",
    "magi",
    "mahi",
    "martini",
    "maxi",
    "menu",
    "midi",
    "mini",
    "obi",
    "okapi",
    "onigiri",
    "origami",
    "panini",
    "pierogi",
    "plateau",
    "rabbi",
    "ravioli",
    "roti",
    "safari",
    "salami",
    "samurai",
    "sari",
    "semi",
    "shiatsu",
    "ski",
    "sku",
    "sushi",
    "tableau",
    "tankini",
    "tatami",
    "taxi",
    "tiki",
    "tofu",
    "tsunami",
    "tutu",
    "wifi",
    "wiki",
    "yakitori",
    "yeti",
    "yogi",
    "zebu",
    "zucchini",
];
/// Their plural has "ves" for "f" or "fe".
const WITH_F: [&str; 13] = [
    "calves", "elves", "halves", "hooves", "knives", "leaves", "lives", "scarves", "selves", "shelves",
    "thieves", "wives", "wolves",
];

/// The singulars that `word`, in lower case, may have; none if it is none or no English plural. It may begin with a number:
/// "6packs".
pub(super) fn singulars(word: &str) -> Vec<String> {
    let begin =
        word.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '/' | '-')).unwrap_or(word.len());
    let (number, word) = word.split_at(begin);
    let mut found = of_word(word);
    for singular in &mut found {
        singular.insert_str(0, number);
    }
    found
}

fn of_word(word: &str) -> Vec<String> {
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Vec::new();
    }
    if let Some((_, singular)) = IRREGULAR.iter().find(|(plural, _)| *plural == word) {
        return vec![(*singular).to_owned()];
    }
    for (plural, singular) in [("women", "woman"), ("men", "man")] {
        // "salesmen", but not "specimen" and "omen".
        if let Some(stem) = word.strip_suffix(plural)
            && stem.len() > 3
            && !stem.ends_with("ci")
        {
            return vec![format!("{stem}{singular}")];
        }
    }
    let Some(less) = word.strip_suffix('s').filter(|less| less.len() >= 3) else { return Vec::new() };
    if less.ends_with('s') || (less.ends_with(['u', 'i']) && !WITH_VOWEL.contains(&less)) {
        return Vec::new();
    }
    let mut found = vec![less.to_owned()];
    if let Some(stem) = less.strip_suffix("ie").filter(|stem| stem.len() >= 2) {
        found.push(format!("{stem}y"));
    } else if let Some(stem) = less.strip_suffix("ve")
        && WITH_F.iter().any(|plural| word.ends_with(plural))
    {
        found.extend([format!("{stem}f"), format!("{stem}fe")]);
    } else if let Some(stem) = less.strip_suffix('e')
        && (stem.ends_with(['s', 'x', 'z', 'o']) || stem.ends_with("ch") || stem.ends_with("sh"))
    {
        found.push(stem.to_owned());
    }
    found
}
