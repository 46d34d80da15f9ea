//! Prices as people and shops write them, to minor units. Exact: digits are moved, nothing is ever rounded, and what can
//! be read in two ways is refused.

use domain::{Currency, Money};

use super::problem::quoted;

/// What stands between whole units and their parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalMark {
    Point,
    Comma,
}

impl DecimalMark {
    /// Reads `.` or `,`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "." => Ok(Self::Point),
            "," => Ok(Self::Comma),
            other => Err(format!("the decimal mark is '.' or ',', not {}", quoted(other))),
        }
    }

    fn char(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }
}

/// Signs, in small letters, and the currencies that are written with them. A sign of one names it; one of several names none, but
/// must fit.
static SIGNS: &[(&str, &[&str])] = &[
    ("€", &["EUR"]),
    ("£", &["GBP", "EGP", "FKP", "GIP", "LBP", "SDG", "SHP", "SSP", "SYP"]),
    ("$", DOLLARS),
    ("us$", &["USD"]),
    ("ca$", &["CAD"]),
    ("c$", &["CAD", "NIO"]),
    ("a$", &["AUD"]),
    ("au$", &["AUD"]),
    ("nz$", &["NZD"]),
    ("hk$", &["HKD"]),
    ("s$", &["SGD"]),
    ("nt$", &["TWD"]),
    ("mx$", &["MXN"]),
    ("r$", &["BRL"]),
    ("¥", &["JPY", "CNY"]),
    ("￥", &["JPY", "CNY"]),
    ("円", &["JPY"]),
    ("元", &["CNY", "TWD"]),
    ("₹", &["INR"]),
    ("rs", RUPEES),
    ("rs.", RUPEES),
    ("₩", &["KRW", "KPW"]),
    ("₽", &["RUB"]),
    ("руб.", &["RUB", "BYN"]),
    ("₺", &["TRY"]),
    ("tl", &["TRY"]),
    ("₴", &["UAH"]),
    ("₫", &["VND"]),
    ("₪", &["ILS"]),
    ("₱", &["PHP"]),
    ("฿", &["THB"]),
    ("₦", &["NGN"]),
    ("₸", &["KZT"]),
    ("₾", &["GEL"]),
    ("zł", &["PLN"]),
    ("kč", &["CZK"]),
    ("ft", &["HUF"]),
    ("lei", &["RON", "MDL"]),
    ("лв", &["BGN"]),
    ("лв.", &["BGN"]),
    ("rm", &["MYR"]),
    ("rp", &["IDR"]),
    ("r", &["ZAR"]),
    ("kr", KRONER),
    ("kr.", KRONER),
    ("fr", FRANCS),
    ("fr.", FRANCS),
    ("sfr", &["CHF"]),
    ("sfr.", &["CHF"]),
];
const DOLLARS: &[&str] = &[
    "USD", "ARS", "AUD", "BBD", "BMD", "BND", "BSD", "BZD", "CAD", "CLP", "COP", "CUP", "DOP", "FJD", "GYD",
    "HKD", "JMD", "KYD", "LRD", "MXN", "NAD", "NZD", "SBD", "SGD", "SRD", "TTD", "TWD", "UYU", "XCD",
];
const RUPEES: &[&str] = &["INR", "LKR", "MUR", "NPR", "PKR", "SCR"];
const KRONER: &[&str] = &["SEK", "NOK", "DKK", "ISK"];
const FRANCS: &[&str] = &["CHF", "BIF", "CDF", "DJF", "GNF", "KMF", "RWF", "XAF", "XOF", "XPF"];

/// Reads a price such as `1,299.00`, `1.299,00`, `$12.50` or `12 EUR`.
///
/// `currency` is the row's; none if the price has to name it. `mark` is the file's decimal mark; none if it has to be told by
/// the price itself.
///
/// # Errors
/// If it is no price, can be read in two ways, or has more decimals than its currency.
pub(crate) fn read(
    text: &str,
    currency: Option<Currency>,
    mark: Option<DecimalMark>,
) -> Result<Money, String> {
    let Split { number, named, sign } = split_currency(text)?;
    let currency = match (currency, named) {
        (Some(currency), Some(named)) if currency != named => {
            return Err(format!(
                "{} is a price in {named}, but this row's currency is {currency}",
                quoted(text)
            ));
        }
        (Some(currency), _) | (None, Some(currency)) => currency,
        (None, None) => return Err("has no currency: say which, with --currency EUR".to_owned()),
    };
    if let Some((sign, _)) = sign.filter(|(_, fitting)| !fitting.contains(&currency.as_str())) {
        return Err(format!("{} has the sign {sign}, but this row's currency is {currency}", quoted(text)));
    }
    let digits = usize::from(currency.minor_digits());
    let (whole, part) = parts(&number, digits, mark).map_err(|why| format!("{} {why}", quoted(text)))?;
    let (kept, lost) = part.split_at(part.len().min(digits));
    if lost.bytes().any(|digit| digit != b'0') {
        return Err(format!(
            "{} has {} decimals, but {currency} has {digits}: prices are not rounded",
            quoted(text),
            part.trim_end_matches('0').len()
        ));
    }
    let minor = format!("{whole}{kept:0<digits$}");
    let minor = minor.trim_start_matches('0');
    let units = if minor.is_empty() { Ok(0) } else { minor.parse::<i64>() };
    let units = units.map_err(|_| format!("{} is more than the catalog's largest price", quoted(text)))?;
    Money::of(units, currency).map_err(|error| format!("{} {}", quoted(text), error.problem))
}

/// Reads an amount that is in minor units already.
///
/// # Errors
/// If it is no whole number, or too large.
pub(crate) fn read_minor(text: &str, currency: Option<Currency>) -> Result<Money, String> {
    let currency = currency.ok_or("has no currency: say which, with --currency EUR")?;
    let units: i64 =
        text.trim().parse().map_err(|_| format!("{} is not a whole number of minor units", quoted(text)))?;
    Money::of(units, currency).map_err(|error| format!("{} {}", quoted(text), error.problem))
}

/// A price and what stands around it.
struct Split {
    number: String,
    named: Option<Currency>,
    /// A sign that several currencies have.
    sign: Option<(&'static str, &'static [&'static str])>,
}

/// Takes the currency off a price: a code or a sign, before or after the number.
fn split_currency(text: &str) -> Result<Split, String> {
    let trimmed = text.trim();
    if let Some(rest) = trimmed.strip_prefix(['-', '\u{2212}']).filter(|rest| !rest.trim().is_empty()) {
        return Err(format!("{} must not be negative", quoted(rest).replacen('"', "\"-", 1)));
    }
    let no_price = || format!("{} is not a price: write a number such as 12.50", quoted(text));
    let is_digit = |c: char| c.is_ascii_digit();
    let (Some(digit), Some(last)) = (trimmed.find(is_digit), trimmed.rfind(is_digit)) else {
        return Err(no_price());
    };
    // `.99` has its mark before the first digit; the point of `Fr.99` belongs to the sign.
    let before = &trimmed[..digit];
    let unmarked = before.strip_suffix(['.', ',']).filter(|it| !it.ends_with(char::is_alphabetic));
    let before = unmarked.unwrap_or(before);
    let mut number = trimmed[before.len()..=last].to_owned();
    let mut after = &trimmed[last + 1..];
    // `12,-` and `12.--`: no cents.
    let dashes = ['-', '\u{2013}', '\u{2014}'];
    if let Some(mark) = after.chars().next().filter(|mark| matches!(mark, '.' | ',')) {
        let behind = &after[1..];
        if behind.starts_with(dashes) {
            number.push(mark);
            number.push('0');
            after = behind.trim_start_matches(dashes);
        } else {
            number.push(mark);
            after = behind;
        }
    }
    let (mut named, mut sign) = (None, None);
    for word in [before, after].map(str::trim).into_iter().filter(|word| !word.is_empty()) {
        let small = word.to_lowercase();
        let currency = match SIGNS.iter().find(|(known, _)| *known == small) {
            Some((_, [code])) => Currency::parse(code).ok(),
            Some(known) if sign.is_none_or(|other| other == *known) => {
                sign = Some(*known);
                continue;
            }
            Some(_) => None,
            None => Currency::parse(&word.to_uppercase()).ok(),
        };
        match (currency, named) {
            (Some(currency), None) => named = Some(currency),
            (Some(currency), Some(other)) if currency == other => {}
            _ => return Err(no_price()),
        }
    }
    Ok(Split { number, named, sign })
}

/// The digits before and after the decimal mark.
fn parts(number: &str, digits: usize, mark: Option<DecimalMark>) -> Result<(String, String), &'static str> {
    let no_number = "is not a number: write digits, at most one decimal mark, and groups of three";
    let mark = match mark {
        Some(mark) => Some(mark.char()),
        None => told_by(number, digits)?,
    };
    let (whole, part) = match mark.and_then(|mark| number.split_once(mark)) {
        Some((whole, part)) => (whole, part),
        None => (number, ""),
    };
    let has_mark = whole.len() < number.len();
    if !part.bytes().all(|byte| byte.is_ascii_digit()) || (has_mark && part.is_empty()) {
        return Err(no_number);
    }
    let whole = ungrouped(whole).ok_or(no_number)?;
    if whole.is_empty() && part.is_empty() { Err(no_number) } else { Ok((whole, part.to_owned())) }
}

/// The decimal mark that the number itself tells; none if it has none.
fn told_by(number: &str, digits: usize) -> Result<Option<char>, &'static str> {
    let (points, commas) = (number.matches('.').count(), number.matches(',').count());
    Ok(match (points, commas) {
        (1, 0) | (0, 1) => {
            let mark = if points == 1 { '.' } else { ',' };
            let (whole, part) = number.split_once(mark).unwrap_or((number, ""));
            let may_group = part.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0');
            match (may_group, mark, digits) {
                (false, _, _) => Some(mark),
                // No decimals at all: three digits can only be a group, unless they say nothing.
                (true, _, 0) if part != "000" || mark == ',' => None,
                _ => {
                    return Err(
                        "can be read in two ways: say which mark divides off decimals, with --decimal . or --decimal ,",
                    );
                }
            }
        }
        // None, or one kind more than once: it groups.
        (_, 0) | (0, _) => None,
        _ => number.chars().rev().find(|c| matches!(c, '.' | ',')),
    })
}

/// The digits of a number whose groups of three may be divided by `.`, `,`, blanks or apostrophes, by one kind of them.
fn ungrouped(whole: &str) -> Option<String> {
    let is_divider =
        |c: char| matches!(c, '.' | ',' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '\u{2019}');
    let mut divider = None;
    let mut groups = vec![String::new()];
    for c in whole.chars() {
        if c.is_ascii_digit() {
            groups.last_mut()?.push(c);
        } else if is_divider(c) && *divider.get_or_insert(c) == c {
            groups.push(String::new());
        } else {
            return None;
        }
    }
    let grouped = groups.len() > 1;
    let right = groups.iter().skip(1).all(|group| group.len() == 3)
        && (!grouped || (1..=3).contains(&groups[0].len()));
    right.then(|| groups.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, currency: &str, mark: Option<DecimalMark>) -> Result<u64, String> {
        read(text, Some(Currency::parse(currency).unwrap()), mark).map(Money::minor_units)
    }

    #[test]
    fn prices_are_read_exactly_by_the_digits_of_their_currency() {
        for (text, currency, expected) in [
            ("12", "USD", 1_200),
            ("12.5", "USD", 1_250),
            ("12.50", "USD", 1_250),
            ("12,50", "EUR", 1_250),
            (".99", "USD", 99),
            ("0.07", "USD", 7),
            ("0", "USD", 0),
            ("0.00", "USD", 0),
            ("1,299.00", "USD", 129_900),
            ("1.299,00", "EUR", 129_900),
            ("1 299,00", "EUR", 129_900),
            ("1\u{202f}299,00 €", "EUR", 129_900),
            ("1'299.00", "CHF", 129_900),
            ("1,234,567.89", "USD", 123_456_789),
            ("1,234,567", "USD", 123_456_700),
            ("$12.50", "USD", 1_250),
            ("$ 12.50", "CAD", 1_250),
            ("US$12.50", "USD", 1_250),
            ("EUR 12,50", "EUR", 1_250),
            ("12.50 eur", "EUR", 1_250),
            ("1200", "JPY", 1_200),
            ("1,200", "JPY", 1_200),
            ("¥1,200", "JPY", 1_200),
            ("1200.00", "JPY", 1_200),
            ("Fr. 12.50", "CHF", 1_250),
            ("fr.12.50", "CHF", 1_250),
            ("SFr. 1'299.-", "CHF", 129_900),
            ("12 Fr.", "XPF", 12),
            ("12,50 kr.", "DKK", 1_250),
            ("kr 12,50", "SEK", 1_250),
            ("12,-", "EUR", 1_200),
            ("€ 1.299,-", "EUR", 129_900),
            ("12.-- Fr.", "CHF", 1_200),
            ("1.299,\u{2014}", "EUR", 129_900),
            ("$12.50 USD", "USD", 1_250),
            ("$.99", "USD", 99),
            ("£12.50", "GBP", 1_250),
            ("￥12", "CNY", 1_200),
            ("12,50 ZŁ", "PLN", 1_250),
            ("3.75", "KWD", 3_750),
            ("12.3400", "USD", 1_234),
            ("0.123", "KWD", 123),
            ("0,500", "KWD", 500),
            ("9007199254740.93", "USD", 900_719_925_474_093),
        ] {
            assert_eq!(minor(text, currency, None), Ok(expected), "{text} {currency}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_until_the_mark_is_said() {
        for (text, currency) in [
            ("1,299", "USD"),
            ("1.299", "EUR"),
            ("1,299", "KWD"),
            ("1.299", "KWD"),
            ("12.000", "JPY"),
            ("$1,299", "USD"),
        ] {
            let error = minor(text, currency, None).unwrap_err();
            assert!(error.contains("two ways") && error.contains("--decimal"), "{text}: {error}");
        }
        assert_eq!(minor("1,299", "USD", Some(DecimalMark::Point)), Ok(129_900));
        assert_eq!(minor("1.299", "EUR", Some(DecimalMark::Comma)), Ok(129_900));
        assert_eq!(minor("1,299", "KWD", Some(DecimalMark::Comma)), Ok(1_299));
        assert_eq!(minor("1.299", "KWD", Some(DecimalMark::Point)), Ok(1_299));
        assert_eq!(minor("1.299", "KWD", Some(DecimalMark::Comma)), Ok(1_299_000));
        assert_eq!(minor("12.000", "JPY", Some(DecimalMark::Point)), Ok(12));
        assert_eq!(minor("12.000", "JPY", Some(DecimalMark::Comma)), Ok(12_000));
    }

    #[test]
    fn nothing_is_rounded_and_nothing_guessed() {
        for (text, currency, why) in [
            ("12.345", "USD", "two ways"),
            ("1234.567", "USD", "has 3 decimals, but USD has 2"),
            ("12.5", "JPY", "has 1 decimals, but JPY has 0"),
            ("0.1234", "KWD", "has 4 decimals"),
            ("abc", "USD", "is not a price"),
            ("", "USD", "is not a price"),
            ("-", "USD", "is not a price"),
            ("free", "USD", "is not a price"),
            ("-5.00", "USD", "must not be negative"),
            ("1e3", "USD", "is not a number"),
            ("1.2.3", "USD", "is not a number"),
            ("12.", "USD", "is not a number"),
            ("12,34,56.00", "USD", "is not a number"),
            ("1,2345.00", "USD", "is not a number"),
            ("12.50 - 15.00", "USD", "is not a number"),
            ("€12.50", "USD", "is a price in EUR"),
            ("12.50 GBP", "USD", "is a price in GBP"),
            ("12 per m", "USD", "is not a price"),
            ("$12.50", "EUR", "has the sign $, but this row's currency is EUR"),
            ("¥12", "USD", "has the sign ¥"),
            ("12 kr", "EUR", "has the sign kr"),
            ("Fr. 12.50", "EUR", "has the sign fr."),
            ("£12", "USD", "has the sign £"),
            ("$12 €", "EUR", "has the sign $"),
            ("$12 kr", "USD", "is not a price"),
            ("12,-5", "EUR", "is not a number"),
            ("1,299,-", "EUR", "is not a number"),
            ("10000000000000.01", "USD", "must be at most"),
            ("99999999999999999999", "USD", "more than the catalog's largest"),
        ] {
            let error = minor(text, currency, None).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(minor("12.345", "USD", Some(DecimalMark::Point)).unwrap_err().contains("not rounded"));
    }

    #[test]
    fn a_price_that_names_its_currency_needs_no_other() {
        assert_eq!(read("12,50 €", None, None).unwrap().to_string(), "12.50 EUR");
        assert_eq!(read("KWD 1.250", None, Some(DecimalMark::Point)).unwrap().to_string(), "1.250 KWD");
        assert!(read("12.50", None, None).unwrap_err().contains("--currency"));
        assert_eq!(read_minor("1250", Currency::parse("EUR").ok()).unwrap().to_string(), "12.50 EUR");
        assert!(read_minor("12.50", Currency::parse("EUR").ok()).unwrap_err().contains("whole number"));
    }
}
