//! The labelling screen's layout at every size.

use ratatui::layout::Rect;
use rlhf::tui::label::layout::{Answers, inside, layout};

fn rects(width: u16, height: u16) -> Option<Vec<Rect>> {
    let r = layout(width, height)?;
    let panes = match r.answers {
        Answers::Split(panes) => panes.to_vec(),
        Answers::Flip(pane) => vec![pane],
    };
    Some(
        [
            vec![r.header, r.prompt],
            panes,
            vec![r.scale, r.beside, r.last, r.footer],
        ]
        .concat(),
    )
}

#[test]
fn every_size_from_1x1_to_300x100_keeps_its_promises() {
    for (width, height) in (1..=300).flat_map(|w| (1..=100).map(move |h| (w, h))) {
        let Some(rects) = rects(width, height) else {
            assert!(
                width < 40 || height < 12,
                "{width}x{height} could have been used"
            );
            continue;
        };
        assert!(
            width >= 40 && height >= 12,
            "{width}x{height} is too small to judge on"
        );
        let screen = Rect::new(0, 0, width, height);
        for (i, a) in rects.iter().enumerate() {
            assert_eq!(
                a.intersection(screen),
                *a,
                "{width}x{height}: {a:?} leaves the screen"
            );
            for b in &rects[i + 1..] {
                assert!(
                    a.intersection(*b).is_empty(),
                    "{width}x{height}: {a:?} meets {b:?}"
                );
            }
        }
        let rows: u16 = rects.iter().filter(|r| r.x == 0).map(|r| r.height).sum();
        assert_eq!(rows, height, "{width}x{height}: rows lost");
    }
}

#[test]
fn both_answers_have_the_same_shape() {
    for (width, height) in (100..=300).flat_map(|w| (28..=100).map(move |h| (w, h))) {
        let Some(Answers::Split([a, b])) = layout(width, height).map(|r| r.answers) else {
            panic!("{width}x{height} must split");
        };
        assert_eq!((a.width, a.height, a.y), (b.width, b.height, b.y));
    }
}

#[test]
fn the_answers_get_most_of_the_screen() {
    let text = |w, h| layout(w, h).map(|r| inside(r.answers.pane(0)));
    assert_eq!(text(120, 36), Some(Rect::new(2, 8, 56, 23)));
    assert_eq!(text(80, 24), Some(Rect::new(2, 7, 76, 12)));
    assert_eq!(text(40, 12), Some(Rect::new(2, 5, 36, 3)));
}

#[test]
fn the_screen_splits_from_100x28() {
    let name = |w, h| layout(w, h).map(|r| r.answers.name());
    assert_eq!(name(100, 28), Some("split"));
    assert_eq!(name(99, 28), Some("flip"));
    assert_eq!(name(100, 27), Some("flip"));
    assert_eq!(name(39, 50), None);
    assert_eq!(name(300, 11), None);
}
