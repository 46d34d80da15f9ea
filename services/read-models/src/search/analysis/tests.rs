use super::*;

fn terms(text: &str) -> Vec<String> {
    let mut terms = Terms::default();
    terms.short(text);
    terms.iter().map(str::to_owned).collect()
}

/// Whether a document with this text is found, as the engine decides it.
fn finds(document: &str, question: &str) -> bool {
    let terms = terms(document);
    let any = |words: &[String]| words.iter().any(|word| terms.contains(word));
    let Question { words } = Question::of(question);
    let found = |word: &Word| {
        any(&word.exact)
            || any(&word.others)
            || word.together.iter().any(|row| row.iter().all(|words| any(words)))
    };
    !words.is_empty() && words.iter().all(found)
}

fn check(cases: &[(&str, &[&str], &[&str])]) {
    for (document, found_by, not_by) in cases {
        for question in *found_by {
            assert!(finds(document, question), "{question} does not find {document}: {:?}", terms(document));
        }
        for question in *not_by {
            assert!(!finds(document, question), "{question} finds {document}: {:?}", terms(document));
        }
    }
}

#[test]
fn a_word_is_found_however_its_letters_are_written() {
    check(&[
        ("Crème Brûlée", &["creme brulee", "CRÈME", "cre\u{300}me bru\u{302}le\u{301}e"], &["cremes x"]),
        ("Ångström", &["Angstrom", "angstroem", "aangstroem", "A\u{30a}ngstro\u{308}m"], &["engstrom"]),
        ("Größe", &["Groesse", "Grosse", "GRÖSSE", "größe", "große"], &["gross"]),
        ("Groesse", &["Größe"], &[]),
        ("Strasse", &["Straße", "STRASSE"], &["trasse"]),
        ("Smørrebrød", &["Smorrebrod", "smoerrebroed"], &[]),
        ("naïve", &["naive"], &[]),
        ("İstanbul ışık", &["istanbul", "ISTANBUL", "ISIK", "isik"], &[]),
        ("Łódź Żółw", &["lodz", "zolw", "ŁÓDŹ"], &[]),
        ("Οδυσσεύς", &["οδυσσευς", "ΟΔΥΣΣΕΥΣ", "ΟΔΥΣΣΕΎΣ"], &[]),
        ("Ёлка", &["елка", "ЁЛКА"], &["палка"]),
        ("ＦＵＬＬ ｗｉｄｔｈ １５", &["full width 15", "fullwidth"], &[]),
        ("ﬁne Œuvre", &["fine oeuvre"], &[]),
        ("خَاتَم أحمر", &["خاتم احمر"], &[]),
        ("٠١٥ و", &["015"], &[]),
        ("Kindle™ Voyage®", &["kindle voyage"], &["kindletm"]),
        ("हिन्दी किताब", &["हिन्दी"], &["हनद"]),
    ]);
}

#[test]
fn a_token_with_a_digit_is_found_as_it_is_or_by_its_parts() {
    check(&[
        (
            "DIA-53000",
            &["dia-53000", "DIA53000", "dia 53000", "53000", "dia"],
            &["DIA-53001", "5300", "3000"],
        ),
        (
            "0.23 ct Ideal cut diamond, E VVS1",
            &["0.23", "0.23ct", "VVS1", "vvs", "e vvs1", "ideal-cut"],
            &["0", "23", "0.2", "1", "VVS2", "vvs 2", "evvs", "0,24"],
        ),
        ("Ring 1,5 mm", &["1,5", "1.5", "1.5mm"], &["15", "1", "5"]),
        ("12.50 EUR", &["12.50", "12,50"], &["12.5", "1250", "12"]),
        ("Screw 1/2 inch", &["1/2", "½", "1/2 inch"], &["12", "1", "2", "1/3"]),
        ("Box 10x20cm", &["10x20cm", "10 x 20 cm", "10×20 cm", "20cm", "10"], &["1020", "10x2", "0x20"]),
        ("Box 10 x 20 cm", &["10x20cm", "10 x 20cm"], &["10x30cm"]),
        ("Lotion 500ml", &["500 ml", "500ml", "500"], &["50 ml", "5"]),
        ("Lotion 500 ml", &["500ml", "500-ml"], &["50ml"]),
        ("C++ primer", &["c++", "c"], &["c#", "c+"]),
        ("C# primer", &["C#"], &["c++"]),
        ("C primer", &["c"], &["c++", "c#"]),
        ("1,000 pieces", &["1000", "1,000"], &["1"]),
        ("1000 pieces", &["1,000"], &["100"]),
        (".5 ct", &["0.5"], &["5"]),
        ("2026-01-15", &["2026-01-15", "2026"], &["20260115", "2026-01-16"]),
        ("APL-IP15P", &["apl-ip15p", "apl", "15", "apl-ip"], &["APL-IP15"]),
        ("TS-RED-XL", &["ts-red", "red-xl", "ts red xl", "tsredxl"], &["ts-xl"]),
        ("Box 20x40cm", &["20x40", "20x40cm", "20 x 40 cm", "40cm"], &["20x4", "20x40mm"]),
        ("HDMI 2.1", &["hdmi 2.1", "hdmi2.1"], &["2", "21", "hdmi 2"]),
    ]);
}

#[test]
fn compounds_meet_with_a_hyphen_a_blank_or_nothing_between() {
    check(&[
        ("Wi-Fi router", &["wifi", "wi fi", "WiFi", "wi-fi router"], &["wife", "wi-fa"]),
        ("wifi router", &["Wi-Fi", "wi fi"], &[]),
        ("wi fi router", &["wifi", "Wi-Fi"], &[]),
        ("T-Shirt", &["tshirt", "t shirt", "t-shirts", "shirt", "T‑Shirt"], &["ts hirt x"]),
        ("iPhone15", &["iphone 15", "iphone-15", "iphone"], &["iphone 1", "iphone 5"]),
        (
            "iPhone 15 Pro",
            &["iphone15", "iphone-15-pro", "iPhone15Pro", "15 pro"],
            &["iphone 14", "iphone15promax"],
        ),
        ("USB-C cable", &["usb c", "usbc", "usb-c cables"], &["usb d"]),
        ("Women’s shoes", &["women's", "womens", "women", "woman's shoe"], &["men"]),
        ("L’eau de parfum", &["eau", "l'eau", "leau"], &["au"]),
        ("eau de parfum", &["l’eau"], &[]),
        ("Levi's jeans", &["levis", "levi's", "levi’s", "levi"], &[]),
        ("M&M's peanut", &["m&m's", "mms", "M&M’S", "m&m"], &["mt"]),
        ("Washer 15 mm", &["mm"], &["mms", "m&m's"]),
        ("AT&T phone", &["at&t", "att"], &[]),
        ("S/M", &["s/m", "m"], &["l"]),
        ("red, wine", &["red wine"], &["redwine"]),
        ("smart watch", &["smart-watch", "smartwatches"], &[]),
        ("lonely eco and friendly", &["eco-friendly"], &["ecofriendly"]),
    ]);
}

#[test]
fn singular_and_plural_meet_and_what_only_looks_like_a_plural_stays() {
    for (one, many) in [
        ("dress", "dresses"),
        ("box", "boxes"),
        ("battery", "batteries"),
        ("knife", "knives"),
        ("shelf", "shelves"),
        ("glass", "glasses"),
        ("house", "houses"),
        ("case", "cases"),
        ("shoe", "shoes"),
        ("potato", "potatoes"),
        ("watch", "watches"),
        ("woman", "women"),
        ("child", "children"),
        ("movie", "movies"),
        ("glove", "gloves"),
        ("olive", "olives"),
        ("bus", "buses"),
        ("lens", "lenses"),
        ("axe", "axes"),
        ("tv", "tvs"),
        ("zapato", "zapatos"),
    ] {
        check(&[(one, &[many], &[]), (many, &[one], &[])]);
    }
    check(&[
        ("glass", &["glass"], &["glas", "gla"]),
        ("Glas", &["glas"], &["glass"]),
        ("cap", &["caps"], &["cape", "capes"]),
        ("bus", &[], &["bu"]),
        ("news", &["news"], &["newss"]),
        ("Preis Haus", &["preis", "haus"], &["prei", "hau"]),
        ("specimen", &["specimen"], &["speciman"]),
    ]);
}

#[test]
fn scripts_without_blanks_are_found_inside_their_runs() {
    check(&[
        ("钻石戒指 18K", &["钻石", "戒指", "钻", "石戒", "18k", "钻石戒指"], &["戒石", "钻戒"]),
        ("ダイヤモンドの指輪", &["ダイヤ", "指輪", "ﾀﾞｲﾔ"], &["ダヤ"]),
        ("다이아몬드 반지", &["반지", "다이아", "다이아몬드 반지"], &["다몬"]),
        ("แหวนเพชร", &["แหวน", "เพชร"], &["หวเพ"]),
        ("Ring 💍 gold", &["💍", "ring 💍"], &["💎"]),
        ("Family 👨‍👩‍👧 mug", &["👨‍👩‍👧"], &["👨"]),
        ("heart ❤\u{fe0f}", &["❤"], &[]),
    ]);
}

#[test]
fn a_typo_is_looked_for_in_words_only() {
    let fuzzy = |text: &str| Question::of(text).words.into_iter().map(|word| word.fuzzy).collect::<Vec<_>>();
    assert_eq!(fuzzy("premuim"), [Some("premuim".to_owned())]);
    assert_eq!(fuzzy("crème wi-fy"), [Some("creme".to_owned()), Some("wify".to_owned())]);
    assert_eq!(fuzzy("DIA-53000 vvs1 0.23 cat c++ 钻石 💍"), [None, None, None, None, None, None, None]);
}

#[test]
fn keys_are_compared_without_case_and_sorted_without_marks() {
    assert_eq!(compared(" dia-53000 "), compared("DIA-53000"));
    assert_eq!(compared("Straße  1"), compared("STRASSE 1"));
    assert_eq!(compared("e\u{301}"), compared("É"));
    assert_ne!(compared("E"), compared("É"));
    assert_ne!(compared("A1"), compared("A-1"));
    assert_eq!(sorted("Émile"), "emile");
    assert!(sorted("Zebra") > sorted("ångström"));
    assert!(compared(&"ﷺ".repeat(200)).chars().count() <= 200);
}

#[test]
fn words_are_counted_as_what_they_cost() {
    for (text, words) in [
        ("", 0),
        ("0.23 ct Ideal-cut", 4),
        ("钻石戒指", 4),
        ("다이아몬드 반지", 3),
        ("💍💎", 2),
        ("naïve café", 2),
        ("?! ...", 0),
    ] {
        assert_eq!(count(text), words, "{text}");
    }
}

/// Hostile texts cost what their length costs.
#[test]
fn the_terms_of_any_text_are_bounded() {
    for (text, most) in [
        ("a-".repeat(5_000), 40_000),
        ("ö".repeat(10_000), 4_000),
        ("öäü ".repeat(2_500), 40_000),
        ("1,000".repeat(2_000), 40_000),
        ("钻".repeat(10_000), 100_000),
        ("\u{301}".repeat(10_000), 100_000),
        ("👨\u{200d}".repeat(5_000), 100_000),
        ("a".repeat(10_000), 300),
    ] {
        let started = std::time::Instant::now();
        let mut terms = Terms::default();
        terms.long(&text);
        terms.short(&text);
        assert!(terms.text().len() <= most, "{:.20}: {}", text, terms.text().len());
        assert!(terms.iter().all(|term| term.encode_utf16().count() <= 2 * MAX_LEN + 1), "{text:.20}");
        assert!(started.elapsed().as_secs() < 5, "{:.20}: {:?}", text, started.elapsed());
    }
}

#[test]
fn what_stands_between_joints_is_found_by_itself_and_with_its_neighbours() {
    check(&[
        ("APL-IP15P", &["IP15P", "ip 15p", "apl-ip15p"], &["APL-IP15"]),
        ("SM-G991B/DS", &["SM-G991B", "G991B", "sm-g991b/ds", "g991b/ds"], &["SM-G991", "991B/D", "sm-ds"]),
        ("WH-1000XM5/B", &["WH-1000XM5", "1000XM5", "1000xm5/b"], &["WH-1000XM", "100"]),
        ("MK2L3LL/A", &["MK2L3LL", "mk2l3ll/a"], &["MK2L3L", "K2L3LL"]),
        ("RTX4070Ti-12G", &["RTX4070Ti", "rtx 4070", "12g"], &["RTX4070T", "RTX407"]),
        ("NF-A12x25", &["A12x25", "nf-a12", "nf-a12x25"], &["A12x2", "A2x25"]),
        (
            "SHIRT-RED-XL-2024",
            &["shirt-red-xl", "shirt-red", "red-xl-2024", "xl 2024"],
            &["shirt-xl", "red-2024"],
        ),
        ("Box 10x20x30cm", &["10x20", "20x30", "10x20x30", "20x30cm", "10 x 20"], &["10x30", "10x2", "0x20"]),
        ("AB-12-CD-34-EF", &["ab-12-cd", "ab-12-cd-34", "12-cd-34", "cd-34-ef"], &["ab-cd", "12-34"]),
        ("Canon EOS R6 body", &["canon-eos-r6", "Canon-EOS", "eos-r6"], &["canon-r6", "canon-eos-r5"]),
        ("USB-C to HDMI", &["usb-c-to-hdmi", "usb c to hdmi", "usb-c"], &["usb-a-to-hdmi"]),
        ("Galaxy S24 Ultra", &["galaxy-s24-ultra"], &["galaxy-s23-ultra"]),
        ("AB--CD", &["ab-cd", "abcd", "ab--cd"], &["ab-ce"]),
        ("ab-cd", &["AB--CD"], &[]),
    ]);
}

#[test]
fn a_sign_behind_a_word_may_be_left_out_of_a_question_and_not_of_a_product() {
    check(&[
        ("Sunscreen SPF50+", &["spf50", "spf 50", "SPF50+", "spf", "50"], &["spf5", "spf50#"]),
        ("Sunscreen SPF50", &["spf50"], &["spf50+"]),
        ("Galaxy S20+", &["s20", "galaxy s20+", "S20"], &["s2", "s"]),
        ("Panel 500W+", &["500w", "500 w", "500W+"], &["w", "50w"]),
        ("1,000+ lumens", &["1000", "1,000", "1000+", "1,000+"], &["1", "000"]),
        ("C++17 in Detail", &["c++", "c++17", "C++ 17", "17"], &["c#", "c+"]),
        ("C++ 17 in Detail", &["c++17"], &["c++14"]),
        ("C#12 in a Nutshell", &["c#", "C#12", "c# 12"], &["c++"]),
        ("18+ game", &["18", "18+"], &["1"]),
    ]);
}

#[test]
fn numbers_are_told_apart_and_lists_of_them_found_by_each() {
    check(&[
        ("Pipe 1½ inch", &["1½", "1 1/2", "1-1/2", "1 1/2 inch"], &["11/2", "1", "2", "1/2"]),
        ("Pipe 1 1/2 inch", &["1½", "1-1/2", "1 1/2"], &["11/2", "1/3", "½"]),
        ("Pipe 1-1/2 inch", &["1½", "1 1/2"], &["11/2"]),
        ("Open 10 24/7", &["24/7", "10"], &["10-24/7"]),
        ("10² mm", &["10", "10²"], &["102"]),
        ("CO₂ 5 m²", &["co2", "m2"], &["52"]),
        ("Sizes 35,36,37", &["35", "36", "37", "35,36,37"], &["353637", "3", "38"]),
        ("Packs 100,200,300", &["100", "200", "300", "100,200,300"], &["20", "1"]),
        ("Size 38,39", &["38", "39", "38.39", "38,39"], &["3839"]),
        ("1,234,567 stars", &["1234567", "1,234,567"], &["234", "567"]),
        ("100,000,000 stars", &["100000000"], &["100"]),
        ("٠٫٢٣ قيراط", &["0.23", "0,23"], &["23"]),
        ("١٬٠٠٠", &["1000"], &["1"]),
        ("Box 10*20cm", &["10x20cm", "10 x 20", "10*20cm"], &["1020"]),
        ("Box 10x20cm", &["10*20cm", "10*20"], &[]),
        ("only…5 left", &["5"], &["0.5"]),
        ("($.5)", &["0.5", ".5"], &["5"]),
        ("Chanel N°5", &["no5", "n5", "N°5", "Nº5", "№5"], &["n6"]),
        ("18K金戒指", &["K金", "18K金", "18k", "金戒指", "18K金戒指"], &["14K金", "k", "8K金"]),
        ("14K金戒指", &["K金"], &["18K金"]),
    ]);
}

#[test]
fn plurals_of_other_endings_and_behind_numbers_meet_too() {
    for (one, many) in [
        ("bikini", "bikinis"),
        ("ski", "skis"),
        ("menu", "menus"),
        ("taxi", "taxis"),
        ("kiwi", "kiwis"),
        ("emoji", "emojis"),
        ("LP", "LPs"),
        ("ID", "IDs"),
        ("5-port", "5 ports"),
        ("5 port", "5-ports"),
        ("6-pack", "6-packs"),
        ("12-month", "12 months"),
        ("2.5-inch", "2.5 inches"),
    ] {
        check(&[(one, &[many], &[]), (many, &[one], &[])]);
    }
    check(&[
        ("tennis iris virus", &["tennis", "iris", "virus"], &["tenni", "iri", "viru"]),
        ("VVS1 diamond", &["vvs1"], &["vv1", "1vvs", "vv"]),
        ("5 ports", &[], &["6-port", "15-port"]),
    ]);
}

#[test]
fn what_an_apostrophe_leaves_is_no_word_by_itself() {
    check(&[
        ("Men's shirt", &["men's", "mens", "men s", "men"], &["s"]),
        ("L’eau", &["eau", "l eau"], &["l"]),
        ("Rock'n'roll", &["rock n roll", "rock'n'roll", "rock"], &["n"]),
        ("Men's shirt, size S", &["s"], &[]),
        ("M&M's", &["m&m"], &["s"]),
        ("Đoković", &["djokovic", "dokovic", "đoković"], &[]),
        ("Ǿre", &["ore", "øre", "ǿre"], &["re"]),
    ]);
}

#[test]
fn a_term_is_cut_whatever_its_end_and_the_form_that_it_has() {
    for text in ["a".repeat(300) + "+", "ß".repeat(300), "a".repeat(300) + "s", "1,".repeat(200) + "1"] {
        let longest = terms(&text).iter().map(|term| term.chars().count()).max();
        assert!(longest.is_some_and(|longest| longest <= MAX_LEN + 1), "{text}: {longest:?}");
        assert!(finds(&text, &text), "{text}");
    }
}
