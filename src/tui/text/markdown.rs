//! Markdown rendered for reading: the other view of an answer, on request and for both sides alike.
//!
//! CommonMark with strikethrough and task lists. What the author wrote stays visible: headings keep
//! their `#`, code its fences and backticks, links show their target and title, HTML is shown as
//! text, tables stay as they were written, every line break is kept, and all link definitions are
//! listed at the end. Nothing becomes a terminal hyperlink. Entities such as `&#27;` are decoded
//! before the text is sanitised, so they cannot bring a control character back.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::document::{Document, Line};
use super::row::{Mark, Row};

/// Levels of quotes and lists that are indented. Deeper ones are drawn at this depth: a hostile
/// text can nest thousands.
const MAX_DEPTH: usize = 8;

/// Markdown as rows of at most `width` columns.
pub fn rows(text: &str, width: usize) -> Vec<Row> {
    document(text).rows(width)
}

/// Markdown as a document, to mark before it is wrapped.
pub fn document(text: &str) -> Document {
    let parser = Parser::new_ext(
        text,
        Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    );
    let mut writer = Writer::default();
    let mut definitions = Definitions::default();
    for (event, at) in parser.into_offset_iter() {
        definitions.pass(text, &event, &at);
        writer.event(event);
    }
    definitions.up_to(text, text.len());
    for definition in definitions.found {
        writer.block();
        writer.structure(definition);
        writer.end_block();
    }
    Document::sanitised(&writer.text, writer.marks, writer.lines)
}

/// Link definitions, which make no events: what lies between the events and has their `]:`. The
/// parser lists the first definition of each label only, and the others would be hidden.
#[derive(Default)]
struct Definitions<'a> {
    found: Vec<&'a str>,
    /// Everything before is accounted for.
    passed: usize,
}

impl<'a> Definitions<'a> {
    fn pass(&mut self, text: &'a str, event: &Event, at: &Range<usize>) {
        let holds_others = match event {
            Event::Start(tag) => matches!(
                tag,
                Tag::Paragraph | Tag::BlockQuote(_) | Tag::List(_) | Tag::Item
            ),
            Event::End(tag) => matches!(
                tag,
                TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item
            ),
            _ => false,
        };
        if !holds_others {
            self.up_to(text, at.start);
            self.passed = self.passed.max(at.end);
        }
    }

    fn up_to(&mut self, text: &'a str, end: usize) {
        let between = text.get(self.passed..end).unwrap_or_default().trim();
        if between.contains("]:") {
            self.found.push(between);
        }
    }
}

/// What a block stands in.
enum Container {
    Quote,
    /// A list item: its marker, and whether a line has shown it.
    Item(String, bool),
}

/// The document as it grows, not yet sanitised.
#[derive(Default)]
struct Writer {
    text: String,
    marks: Vec<(Range<usize>, Mark)>,
    lines: Vec<Line>,
    containers: Vec<Container>,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Where the open headings, emphases, links, … begin, and what ends them.
    open: Vec<(usize, String)>,
    /// The last line can take more text.
    in_line: bool,
    /// The last line is nothing but the marker of a list item.
    at_marker: bool,
    /// A blank line separates the next block from this one.
    gap: bool,
    in_code: bool,
}

impl Writer {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.push(&text),
            Event::Code(text) => {
                self.structure("`");
                let start = self.text.len();
                self.push(&text);
                self.marks.push((start..self.text.len(), Mark::Code));
                self.structure("`");
            }
            Event::SoftBreak | Event::HardBreak => self.begin_line(),
            Event::Rule => {
                self.block();
                self.structure("────────");
                self.end_block();
            }
            Event::TaskListMarker(done) => self.structure(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag) {
        match tag {
            Tag::Heading { level, .. } => {
                self.block();
                self.structure(&format!("{} ", "#".repeat(level as usize)));
                self.open(String::new());
            }
            Tag::BlockQuote(_) => {
                self.block();
                self.leave_line();
                self.containers.push(Container::Quote);
            }
            Tag::CodeBlock(kind) => self.start_code(&kind),
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.block();
                }
                self.leave_line();
                self.lists.push(first);
            }
            Tag::Item => self.start_item(),
            Tag::Emphasis | Tag::Strong => self.open(String::new()),
            Tag::Strikethrough => {
                self.structure("~~");
                self.open("~~".to_owned());
            }
            Tag::Link {
                link_type,
                dest_url,
                title,
                ..
            } => {
                let shown = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.open(if shown {
                    String::new()
                } else {
                    target(&dest_url, &title)
                });
            }
            Tag::Image {
                dest_url, title, ..
            } => {
                self.structure("image: ");
                self.open(target(&dest_url, &title));
            }
            _ => self.block(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.close(Mark::Heading);
                self.end_block();
            }
            TagEnd::BlockQuote(_) => {
                self.containers.pop();
                self.end_block();
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.leave_line();
                self.gap |= self.lists.is_empty();
            }
            TagEnd::Item => {
                self.containers.pop();
                self.leave_line();
            }
            TagEnd::Emphasis => self.close(Mark::Emphasis),
            TagEnd::Strong => self.close(Mark::Strong),
            TagEnd::Strikethrough => self.close(Mark::Struck),
            TagEnd::Link | TagEnd::Image => self.close(Mark::Link),
            _ => self.end_block(),
        }
    }

    fn open(&mut self, end: String) {
        if !self.in_line {
            self.begin_line();
        }
        self.open.push((self.text.len(), end));
    }

    fn close(&mut self, mark: Mark) {
        if let Some((start, end)) = self.open.pop() {
            self.marks.push((start..self.text.len(), mark));
            self.structure(&end);
        }
    }

    fn start_item(&mut self) {
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", number.saturating_sub(1))
            }
            _ => "• ".to_owned(),
        };
        self.leave_line();
        self.separate();
        self.containers.push(Container::Item(marker, false));
        self.begin_line();
        self.at_marker = true;
    }

    fn start_code(&mut self, kind: &CodeBlockKind) {
        self.block();
        match kind {
            CodeBlockKind::Fenced(language) => self.structure(&format!("```{language}")),
            CodeBlockKind::Indented => self.structure("```"),
        }
        self.leave_line();
        self.in_code = true;
        self.open.push((self.text.len(), String::new()));
    }

    fn end_code(&mut self) {
        self.close(Mark::Code);
        self.in_code = false;
        self.leave_line();
        self.structure("```");
        self.end_block();
    }

    /// Begins a block: on the line of its list marker, or after a blank line.
    fn block(&mut self) {
        if !std::mem::take(&mut self.at_marker) {
            self.leave_line();
            self.separate();
        }
    }

    fn end_block(&mut self) {
        self.leave_line();
        self.gap = true;
    }

    fn separate(&mut self) {
        if std::mem::take(&mut self.gap) {
            self.begin_line();
            self.in_line = false;
        }
    }

    fn leave_line(&mut self) {
        self.in_line = false;
        self.at_marker = false;
    }

    fn begin_line(&mut self) {
        if !self.lines.is_empty() {
            self.text.push('\n');
        }
        let mut line = Line {
            hard: self.in_code,
            ..Line::default()
        };
        for container in self.containers.iter_mut().take(MAX_DEPTH) {
            let (first, rest) = match container {
                Container::Quote => ("│ ".to_owned(), "│ ".to_owned()),
                Container::Item(marker, shown) => {
                    let blank = " ".repeat(marker.chars().count());
                    let first = if *shown {
                        blank.clone()
                    } else {
                        marker.clone()
                    };
                    *shown = true;
                    (first, blank)
                }
            };
            line.first.push_str(&first);
            line.rest.push_str(&rest);
        }
        self.lines.push(line);
        self.in_line = true;
        self.at_marker = false;
    }

    /// Text as the author wrote it. A line break at its end waits for more text.
    fn push(&mut self, text: &str) {
        for (i, line) in text.split('\n').enumerate() {
            if i > 0 {
                if !self.in_line {
                    self.begin_line();
                }
                self.in_line = false;
            }
            if !line.is_empty() {
                if !self.in_line {
                    self.begin_line();
                }
                self.at_marker = false;
                self.text.push_str(line);
            }
        }
    }

    fn structure(&mut self, sign: &str) {
        let start = self.text.len();
        self.push(sign);
        self.marks.push((start..self.text.len(), Mark::Structure));
    }
}

/// A link's target as it follows the link's text.
fn target(url: &str, title: &str) -> String {
    if title.is_empty() {
        format!(" ({url})")
    } else {
        format!(" ({url} \"{title}\")")
    }
}
