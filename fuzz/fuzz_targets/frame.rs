//! Any bytes as either peer's messages: cutting ends, takes no more than is there, and says of a part of the bytes
//! either the same or that more are needed.
#![cfg_attr(fuzzing, no_main)]

use frostgate::wire::{
    Cut, FrontendLimits,
    frame::{Rows, cut_backend, cut_frontend},
};

const LIMITS: FrontendLimits = FrontendLimits { max_statement: 1 << 16 };

fn holds<Tag: PartialEq + std::fmt::Debug>(whole: &Cut<'_, Tag>, part: &Cut<'_, Tag>, length: usize) {
    match (whole, part) {
        (Cut::Whole { bytes, body, .. }, _) if bytes.len() > length || body.len() > bytes.len() => {
            panic!("{} bytes of {length}", bytes.len());
        }
        (_, Cut::More) => {}
        (Cut::Whole { bytes: all, .. }, Cut::Whole { bytes, .. }) => assert_eq!(all, bytes),
        // What passes unseen is cut as it comes.
        (Cut::Whole { tag: a, bytes, .. }, Cut::Head { tag: b, length, .. }) => {
            assert_eq!((a, bytes.len()), (b, *length));
        }
        (Cut::Head { tag: a, length: all, .. }, Cut::Head { tag: b, length, .. }) => {
            assert_eq!((a, all), (b, length));
        }
        (whole, part) => panic!("{part:?} became {whole:?}"),
    }
}

fn run(bytes: &[u8]) {
    let half = &bytes[..bytes.len() / 2];
    if let (Ok(whole), Ok(part)) = (cut_frontend(bytes, LIMITS), cut_frontend(half, LIMITS)) {
        holds(&whole, &part, bytes.len());
    }
    for rows in [Rows::Stream, Rows::Held] {
        if let (Ok(whole), Ok(part)) = (cut_backend(bytes, || rows), cut_backend(half, || rows)) {
            holds(&whole, &part, bytes.len());
        }
    }
}

frostgate_fuzz::target!(run);
