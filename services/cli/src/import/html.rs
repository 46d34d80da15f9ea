//! HTML to plain text: paragraphs, lines and list items stay apart, everything else of the markup goes.
//! Promises to keep a text without markup as it is, and never to fail: what is no tag is text.

/// Elements that begin and end a paragraph.
const PARAGRAPHS: [&str; 19] = [
    "p",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "table",
    "blockquote",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "dl",
    "figure",
];
/// Elements that begin and end a line.
const LINES: [&str; 8] = ["br", "hr", "tr", "dt", "dd", "caption", "figcaption", "li"];
/// Elements whose content is not text for people.
const HIDDEN: [&str; 6] = ["script", "style", "head", "template", "iframe", "svg"];

/// The text of a piece of HTML.
pub(crate) fn to_text(html: &str) -> String {
    if !has_markup(html) {
        return html_escape::decode_html_entities(html).trim().to_owned();
    }
    let mut text = Text::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.words(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.split_once("-->").map_or("", |(_, after)| after);
        } else if let Some((name, after)) = tag(rest) {
            rest = after;
            if HIDDEN.contains(&name.as_str()) {
                rest = after_end_of(&name, rest);
            }
            text.element(&name);
        } else {
            text.words("<");
            rest = &rest[1..];
        }
    }
    text.words(rest);
    text.finish()
}

/// The text of Editor.js' JSON, as Saleor keeps descriptions; none if it is not that.
pub(crate) fn of_editor_js(json: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(json).ok()?;
    let blocks = document.get("blocks")?.as_array()?;
    let mut paragraphs = Vec::new();
    for block in blocks {
        let data = &block["data"];
        if let Some(text) = data["text"].as_str() {
            paragraphs.push(to_text(text));
        }
        let items = data["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let item = |item: &serde_json::Value| {
            item.as_str().or_else(|| item["content"].as_str()).map(|text| format!("- {}", to_text(text)))
        };
        let items: Vec<String> = items.iter().filter_map(item).collect();
        paragraphs.push(items.join("\n"));
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    Some(paragraphs.join("\n\n"))
}

fn has_markup(html: &str) -> bool {
    html.match_indices('<').any(|(at, _)| html[at..].starts_with("<!--") || tag(&html[at..]).is_some())
}

/// The name of the tag that `rest` starts with, in lower case, and what comes after the tag.
fn tag(rest: &str) -> Option<(String, &str)> {
    let inner = rest.strip_prefix('<')?;
    let closed = inner.strip_prefix('/').unwrap_or(inner);
    if let Some(declaration) = inner.strip_prefix('!') {
        return declaration.split_once('>').map(|(_, after)| (String::new(), after));
    }
    if !closed.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let length =
        closed.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == ':')).unwrap_or(closed.len());
    let (name, attributes) = closed.split_at(length);
    // `<` before a word is a tag only if the word ends like a tag's name.
    if !attributes.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/') {
        return None;
    }
    let mut quote = None;
    for (at, c) in attributes.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((name.to_ascii_lowercase(), &attributes[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that nothing closes: the tag ends at the first `>` all the same.
    attributes.split_once('>').map(|(_, after)| (name.to_ascii_lowercase(), after))
}

fn after_end_of<'a>(name: &str, rest: &'a str) -> &'a str {
    let end = format!("</{name}");
    let lower = rest.to_ascii_lowercase();
    let Some(at) = lower.find(&end) else { return "" };
    rest[at..].split_once('>').map_or("", |(_, after)| after)
}

#[derive(Default)]
struct Text {
    so_far: String,
    /// New lines owed before the next word, and whether a blank is.
    lines: usize,
    blank: bool,
}

impl Text {
    fn words(&mut self, text: &str) {
        let decoded = html_escape::decode_html_entities(text);
        for c in decoded.chars() {
            if c.is_whitespace() {
                self.blank = true;
                continue;
            }
            if self.lines > 0 && !self.so_far.is_empty() {
                self.so_far.extend(std::iter::repeat_n('\n', self.lines));
            } else if self.blank && !self.so_far.is_empty() && !self.so_far.ends_with(['\n', ' ']) {
                self.so_far.push(' ');
            }
            (self.lines, self.blank) = (0, false);
            self.so_far.push(c);
        }
    }

    fn element(&mut self, name: &str) {
        if PARAGRAPHS.contains(&name) {
            self.lines = 2;
        } else if LINES.contains(&name) {
            self.lines = self.lines.max(1);
        } else if matches!(name, "td" | "th") {
            self.blank = true;
        }
    }

    fn finish(self) -> String {
        self.so_far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_paragraphs_stay_apart() {
        for (html, text) in [
            ("<p>Soft &amp; warm.</p><p>100&nbsp;% wool</p>", "Soft & warm.\n\n100 % wool"),
            ("<p>One<br/>two<BR>three</p>", "One\ntwo\nthree"),
            ("<ul><li>S</li><li>M</li></ul>", "S\nM"),
            ("<strong>Bold</strong> and <em class='a>b'>light</em>", "Bold and light"),
            ("<p data-x=\"1 > 0\">kept</p>", "kept"),
            ("<style>p{color:red}</style><p>seen</p><script>if (a < b) {}</script>", "seen"),
            ("<!-- hidden --><p>seen</p>", "seen"),
            (
                "<table><tr><td>Width</td><td>12 cm</td></tr><tr><td>Height</td><td>4 cm</td></tr></table>",
                "Width 12 cm\nHeight 4 cm",
            ),
            ("  <p>\n  a\n  b </p>  ", "a b"),
            ("<p>unclosed <b>bold", "unclosed bold"),
            ("<p>Gr&ouml;&szlig;e &#8364; &#x1F600; &hellip;</p>", "Größe € 😀 …"),
            ("<DIV>Caf&eacute;</DIV>", "Café"),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn a_text_without_markup_stays_as_it_is() {
        assert_eq!(to_text("first\n\nsecond  line"), "first\n\nsecond  line");
        assert_eq!(to_text("3 < 4 and 5 > 2"), "3 < 4 and 5 > 2");
        assert_eq!(to_text("size <M>: I <3 it"), "size : I <3 it");
        assert_eq!(to_text("Tom &amp; Jerry & co"), "Tom & Jerry & co");
        assert_eq!(to_text("<"), "<");
        assert_eq!(to_text(""), "");
    }

    #[test]
    fn a_text_of_editor_js_is_its_blocks() {
        let json = r#"{"time": 1, "blocks": [
            {"type": "header", "data": {"text": "Apple <b>Juice</b>", "level": 2}},
            {"type": "paragraph", "data": {"text": "Fell straight from the tree &amp; into the bottle."}},
            {"type": "list", "data": {"style": "unordered", "items": ["fresh", {"content": "cold", "items": []}]}},
            {"type": "image", "data": {"file": {}}}]}"#;
        let text = "Apple Juice\n\nFell straight from the tree & into the bottle.\n\n- fresh\n- cold";
        assert_eq!(of_editor_js(json).as_deref(), Some(text));
        assert_eq!(of_editor_js("just a text"), None);
        assert_eq!(of_editor_js("{\"a\": 1}"), None);
    }
}
