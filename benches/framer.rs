//! What it costs to cut messages off a stream: a read's worth of rows, of COPY data, of small requests.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "what is measured is made right here")]

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use frostgate::wire::{
    Cut, FrontendLimits,
    frame::{Rows, cut_backend, cut_frontend},
    frontend::Write,
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// As much as one read brings.
const READ: usize = 64 << 10;
const LIMITS: FrontendLimits = FrontendLimits { max_statement: 16 << 20 };

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short body");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn filled(message: &[u8]) -> Vec<u8> {
    message.repeat(READ / message.len())
}

fn backend(bytes: &[u8]) -> usize {
    let (mut rest, mut messages) = (bytes, 0);
    while let Ok(Cut::Whole { bytes, .. }) = cut_backend(rest, || Rows::Stream) {
        rest = &rest[bytes.len()..];
        messages += 1;
    }
    messages
}

fn frontend(bytes: &[u8]) -> usize {
    let (mut rest, mut messages) = (bytes, 0);
    while let Ok(Cut::Whole { bytes, .. }) = cut_frontend(rest, LIMITS) {
        rest = &rest[bytes.len()..];
        messages += 1;
    }
    messages
}

#[divan::bench(args = [30, 100, 1000])]
fn rows(bencher: Bencher<'_, '_>, body: usize) {
    let read = filled(&message(b'D', &vec![0; body]));
    bencher.counter(BytesCount::new(read.len())).bench(|| backend(divan::black_box(&read)));
}

#[divan::bench(args = [30, 1000])]
fn copy_data(bencher: Bencher<'_, '_>, body: usize) {
    let read = filled(&message(b'd', &vec![0; body]));
    bencher.counter(BytesCount::new(read.len())).bench(|| frontend(divan::black_box(&read)));
}

/// Bind, Execute, Sync: what a driver sends for a prepared statement.
#[divan::bench]
fn prepared_requests(bencher: Bencher<'_, '_>) {
    let mut request = Vec::new();
    Write(&mut request).bind_text("", "S_1", &["48213"]).execute("").sync();
    let read = filled(&request);
    bencher.counter(BytesCount::new(read.len())).bench(|| frontend(divan::black_box(&read)));
}
