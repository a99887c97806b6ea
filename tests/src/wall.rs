//! A clock on the wall that a test may set, for commands that it starts: the machine's own is left
//! alone.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    process::{Command, Stdio},
};

use crate::running::Directory;

/// What the commands put before the C library.
const SOURCE: &str = include_str!("wall.c");

/// The clock. The monotonic ones, which nobody can set, go on for its commands as for others.
#[derive(Debug)]
pub struct Wall {
    directory: Directory,
    shift: File,
}

impl Wall {
    /// One that shows the same as the machine's; `name` becomes part of its directory's name.
    ///
    /// # Panics
    ///
    /// Without a C compiler, which linking Rust takes too.
    pub fn new(name: &str) -> Self {
        let directory = Directory::new(name);
        let source = directory.write("wall.c", SOURCE);
        let mut compiler = Command::new("cc");
        compiler
            .args([
                "-shared",
                "-fPIC",
                "-o",
                &directory.file("wall.so"),
                &source,
            ])
            .stdin(Stdio::null());
        assert!(compiler.status().unwrap().success(), "{compiler:?}");
        let shift = File::create(directory.file("shift")).unwrap();
        let wall = Self { directory, shift };
        wall.set(0);
        wall
    }

    /// Sets it so many seconds ahead of the machine's, for commands that run too.
    pub fn set(&self, ahead: i64) {
        self.shift.write_all_at(&ahead.to_ne_bytes(), 0).unwrap();
    }

    /// Lets a command that is not started yet see this clock.
    pub fn before(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", self.directory.file("wall.so"))
            .env("WALL", self.directory.file("shift"));
    }
}
