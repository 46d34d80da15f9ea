//! What an English word may be the plural of.
//!
//! A guess costs little: it is one more form, and meets only a word that is written so. So the rules name each singular there
//! may be ("axes": axe, ax) and none for what is no plural ("glass", "bus").

const IRREGULAR: [(&str, &str); 17] = [
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
];
/// Their plural has "ves" for "f" or "fe".
const WITH_F: [&str; 13] = [
    "calves", "elves", "halves", "hooves", "knives", "leaves", "lives", "scarves", "selves", "shelves",
    "thieves", "wives", "wolves",
];

/// The singulars that `word`, in lower case, may have; none if it is none or no English plural.
pub(super) fn singulars(word: &str) -> Vec<String> {
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
    if less.ends_with(['s', 'u', 'i']) {
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
