//! Where everything on the labelling screen goes: a pure function of the terminal's size.
//!
//! The layout does not look at the text, so nothing jumps from one pair to the next.

use ratatui::layout::Rect;

/// The smallest screen on which a judgement can be made.
pub const MIN_SIZE: (u16, u16) = (40, 12);

/// From here on the two answers are shown side by side.
pub const SPLIT_SIZE: (u16, u16) = (100, 28);

/// The parts of the screen, top to bottom. They do not overlap and fill the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regions {
    /// One row: where we are in the batch.
    pub header: Rect,
    /// The prompt with its border.
    pub prompt: Rect,
    /// The answers with their borders.
    pub answers: Answers,
    /// The scale: one row.
    pub scale: Rect,
    /// The keys beside the scale (both bad, cannot judge): one row; empty on low screens.
    pub beside: Rect,
    /// What was judged last, or what went wrong: one row.
    pub last: Rect,
    /// The keys that matter now: one row.
    pub footer: Rect,
}

/// How the two answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Side by side: left and right, of equal size.
    Split([Rect; 2]),
    /// One at a time in the same place.
    Flip(Rect),
}

impl Answers {
    /// The pane of one side, 0 = A and 1 = B.
    pub fn pane(self, side: usize) -> Rect {
        match self {
            Self::Split(panes) => panes[side.min(1)],
            Self::Flip(pane) => pane,
        }
    }

    /// The space of all answers together.
    pub fn whole(self) -> Rect {
        match self {
            Self::Split([a, b]) => a.union(b),
            Self::Flip(pane) => pane,
        }
    }

    /// The name under which the layout is recorded with each judgement.
    pub fn name(self) -> &'static str {
        match self {
            Self::Split(_) => "split",
            Self::Flip(_) => "flip",
        }
    }
}

/// The space inside a pane's border.
pub fn inside(pane: Rect) -> Rect {
    Rect {
        x: pane.x.saturating_add(2),
        y: pane.y.saturating_add(1),
        width: pane.width.saturating_sub(4),
        height: pane.height.saturating_sub(2),
    }
}

/// Where the answers of a ranking are listed; empty on small screens.
pub fn ranking_list(answers: Answers) -> Rect {
    let whole = answers.whole();
    let width = match answers {
        Answers::Split(_) => whole.width / 3,
        Answers::Flip(_) => 0,
    };
    Rect { width, ..whole }
}

/// Where one answer of a ranking is read.
pub fn ranking_text(answers: Answers) -> Rect {
    let (whole, list) = (answers.whole(), ranking_list(answers));
    Rect {
        x: list.right(),
        width: whole.width - list.width,
        ..whole
    }
}

/// The regions for a terminal of this size, or `None` if it is too small to judge on.
pub fn layout(width: u16, height: u16) -> Option<Regions> {
    if width < MIN_SIZE.0 || height < MIN_SIZE.1 {
        return None;
    }
    let row = |y: u16| Rect {
        x: 0,
        y,
        width,
        height: 1,
    };
    let beside = u16::from(height >= 16);
    let prompt = Rect {
        x: 0,
        y: 1,
        width,
        height: (height / 8).clamp(1, 12) + 2,
    };
    let below = 3 + beside; // scale, beside, last, footer
    let top = prompt.bottom();
    let tall = height - top - below;
    let answers = if width >= SPLIT_SIZE.0 && height >= SPLIT_SIZE.1 {
        // An odd column stays empty at the right: both answers must wrap alike.
        let half = width / 2;
        Answers::Split([0, half].map(|x| Rect {
            x,
            y: top,
            width: half,
            height: tall,
        }))
    } else {
        Answers::Flip(Rect {
            x: 0,
            y: top,
            width,
            height: tall,
        })
    };
    let scale = top + tall;
    Some(Regions {
        header: row(0),
        prompt,
        answers,
        scale: row(scale),
        beside: Rect {
            height: beside,
            ..row(scale + 1)
        },
        last: row(height - 2),
        footer: row(height - 1),
    })
}

/// A dialog in the middle of the screen, as large as it needs to be and the screen allows.
pub fn centred(width: u16, height: u16, screen: (u16, u16)) -> Rect {
    let (width, height) = (width.min(screen.0), height.min(screen.1));
    Rect {
        x: (screen.0 - width) / 2,
        y: (screen.1 - height) / 2,
        width,
        height,
    }
}

/// Where the guidelines and the help are read: most of the screen, without the header and footer.
pub fn page(screen: (u16, u16)) -> Rect {
    let (width, height) = (screen.0.min(100), screen.1.saturating_sub(2));
    Rect {
        x: (screen.0 - width) / 2,
        y: 1.min(height),
        width,
        height,
    }
}
