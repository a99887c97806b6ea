//! The file system that a kernel starts from: an uncompressed archive in cpio's `newc` format
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

/// Mode of a directory that everybody may enter.
const DIRECTORY: u32 = 0o040_755;
/// Mode of a file that everybody may run.
const FILE: u32 = 0o100_755;

/// An archive under way.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds an empty directory.
    pub(super) fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file, which can be run.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, FILE, content);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        // Number, mode, owner, group, links, time, size, two numbers of the device it is on and two
        // of the one it is, length of the name with the zero behind it, no checksum.
        let fields = [
            self.entries as usize,
            mode as usize,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            path.len() + 1,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_laid_out_as_the_kernel_reads_them() {
        let mut archive = Archive::default();
        archive.file("abc", b"hello");
        let bytes = archive.finish();
        let head = "070701000000010000\
                    81ed000000000000000000000001000000000000000500000000000000000000000000000000\
                    0000000400000000";
        assert_eq!(&bytes[..110], head.as_bytes());
        assert_eq!(&bytes[110..124], b"abc\0\0\0hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert_eq!(bytes.len() % 4, 0);
    }
}
