//! Which tables have rules, and how many.

use core::mem::offset_of;

use super::Book;

/// How many rules there are in each table. May be too large while user space writes, never too small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    /// Of the book of what this host says.
    pub own: Counts,
    /// Of the book of what others may claim.
    pub claims: Counts,
}

/// How many rules of one book there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Single addresses by themselves, on every device.
    pub exact: u32,
    /// Single addresses by themselves, on one device.
    pub exact_on_device: u32,
    /// Single addresses in blocks, on every device.
    pub in_blocks: u32,
    /// Single addresses in blocks, on one device.
    pub in_blocks_on_device: u32,
    /// Prefixes, on every device.
    pub prefixes: u32,
    /// Prefixes, on one device.
    pub prefixes_on_device: u32,
}

impl Shape {
    /// How many words it is.
    pub const WORDS: usize = size_of::<Self>() / size_of::<u32>();

    /// The counts of one book.
    #[inline(always)]
    pub const fn of(&self, book: Book) -> &Counts {
        match book {
            Book::Own => &self.own,
            Book::Claims => &self.claims,
        }
    }

    /// As [`Self::of`], to change them.
    pub const fn of_mut(&mut self, book: Book) -> &mut Counts {
        match book {
            Book::Own => &mut self.own,
            Book::Claims => &mut self.claims,
        }
    }

    /// How many rules there are for single addresses.
    pub const fn addresses(&self) -> u32 {
        let Self { own, claims } = self;
        own.addresses().saturating_add(claims.addresses())
    }

    /// How many there are for prefixes.
    pub const fn prefixes(&self) -> u32 {
        let Self { own, claims } = self;
        own.prefixes().saturating_add(claims.prefixes())
    }

    /// Which tables a packet is looked up in.
    #[inline(always)]
    pub fn in_use(&self) -> InUse {
        InUse(self.own.in_use() | self.claims.in_use() << InUse::BITS)
    }

    /// As numbers.
    pub const fn to_words(self) -> [u32; Self::WORDS] {
        let [a, b, c, d, e, f] = self.own.to_words();
        let [g, h, i, j, k, l] = self.claims.to_words();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// From numbers.
    pub const fn from_words([a, b, c, d, e, f, g, h, i, j, k, l]: [u32; Self::WORDS]) -> Self {
        Self {
            own: Counts::from_words([a, b, c, d, e, f]),
            claims: Counts::from_words([g, h, i, j, k, l]),
        }
    }
}

impl Counts {
    fn in_use(&self) -> u32 {
        let bit = |count: u32, table: Table| if count == 0 { 0 } else { table as u32 };
        bit(self.exact, Table::Exact)
            | bit(self.exact_on_device, Table::ExactOnDevice)
            | bit(self.in_blocks, Table::Blocks)
            | bit(self.in_blocks_on_device, Table::BlocksOnDevice)
            | bit(self.prefixes, Table::Prefixes)
            | bit(self.prefixes_on_device, Table::PrefixesOnDevice)
    }

    /// How many rules there are for single addresses on every device.
    pub const fn on_every(&self) -> u32 {
        self.exact.saturating_add(self.in_blocks)
    }

    /// How many there are for single addresses on one device.
    pub const fn on_device(&self) -> u32 {
        self.exact_on_device
            .saturating_add(self.in_blocks_on_device)
    }

    const fn addresses(&self) -> u32 {
        self.on_every().saturating_add(self.on_device())
    }

    const fn prefixes(&self) -> u32 {
        self.prefixes.saturating_add(self.prefixes_on_device)
    }

    const fn to_words(self) -> [u32; 6] {
        [
            self.exact,
            self.exact_on_device,
            self.in_blocks,
            self.in_blocks_on_device,
            self.prefixes,
            self.prefixes_on_device,
        ]
    }

    const fn from_words([a, b, c, d, e, f]: [u32; 6]) -> Self {
        Self {
            exact: a,
            exact_on_device: b,
            in_blocks: c,
            in_blocks_on_device: d,
            prefixes: e,
            prefixes_on_device: f,
        }
    }
}

/// A table of a book, as a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Table {
    /// Single addresses by themselves, on every device.
    Exact = 1,
    /// Single addresses by themselves, on one device.
    ExactOnDevice = 2,
    /// Blocks of single addresses, on every device.
    Blocks = 4,
    /// Blocks of single addresses, on one device.
    BlocksOnDevice = 8,
    /// Prefixes, on every device.
    Prefixes = 16,
    /// Prefixes, on one device.
    PrefixesOnDevice = 32,
}

/// Which tables have rules at all. To ask that of one number costs a packet less than to look into an
/// empty table, and than to read how many there are in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct InUse(u32);

impl InUse {
    /// How many bits a book has: this host's own are the lower ones.
    const BITS: u32 = 6;
    /// How many bits are of no table.
    pub(crate) const UNUSED: u32 = u32::BITS - 2 * Self::BITS;

    /// Whether a book has any rule.
    #[inline(always)]
    pub const fn any(self, book: Book) -> bool {
        self.of(book) & ((1 << Self::BITS) - 1) != 0
    }

    /// Whether a table of a book has any.
    #[inline(always)]
    pub const fn has(self, book: Book, table: Table) -> bool {
        self.of(book) & table as u32 != 0
    }

    /// Whether a book has any rule for a prefix.
    #[inline(always)]
    pub const fn has_prefixes(self, book: Book) -> bool {
        self.of(book) & (Table::Prefixes as u32 | Table::PrefixesOnDevice as u32) != 0
    }

    /// As a number.
    #[inline(always)]
    pub const fn to_number(self) -> u32 {
        self.0
    }

    /// From a number that [`Self::to_number`] gave.
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The bits that are of no table: zero, which only who writes the map knows.
    #[inline(always)]
    pub const fn unused(self) -> u32 {
        self.0 >> (2 * Self::BITS)
    }

    #[inline(always)]
    const fn of(self, book: Book) -> u32 {
        match book {
            Book::Own => self.0,
            Book::Claims => self.0 >> Self::BITS,
        }
    }
}

/// What the map of the shape holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Extent {
    /// What the programs read.
    pub in_use: InUse,
    /// What user space reads.
    pub shape: Shape,
}

impl Extent {
    /// How many words it is.
    pub const WORDS: usize = size_of::<Self>() / size_of::<u32>();
    /// Which of the words the programs read: a number for [`InUse::from_number`].
    pub const IN_USE_AT: usize = offset_of!(Self, in_use) / size_of::<u32>();

    /// Of tables with so many rules.
    pub fn of(shape: Shape) -> Self {
        let in_use = shape.in_use();
        Self { in_use, shape }
    }

    /// As the map holds it.
    pub const fn to_words(self) -> [u32; Self::WORDS] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.shape.to_words();
        [self.in_use.0, a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// From what the map holds.
    pub const fn from_words([in_use, words @ ..]: [u32; Self::WORDS]) -> Self {
        Self {
            in_use: InUse(in_use),
            shape: Shape::from_words(words),
        }
    }
}

const _: () = assert!(size_of::<Extent>() == 52);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_back() {
        let words = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let shape = Shape::from_words(words);
        assert_eq!(shape.to_words(), words);
        assert_eq!(shape.of(Book::Own).exact_on_device, 2);
        assert_eq!(shape.of(Book::Claims).prefixes, 11);
        assert_eq!(shape.addresses(), 1 + 2 + 3 + 4 + 7 + 8 + 9 + 10);
        assert_eq!((shape.own.on_every(), shape.own.on_device()), (4, 6));
        let extent = Extent::of(Shape::from_words([0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]));
        assert_eq!(
            extent.to_words(),
            [0xc06, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]
        );
        assert_eq!(Extent::from_words(extent.to_words()), extent);
    }

    #[test]
    fn a_table_with_rules_is_in_use() {
        const TABLES: [Table; 6] = [
            Table::Exact,
            Table::ExactOnDevice,
            Table::Blocks,
            Table::BlocksOnDevice,
            Table::Prefixes,
            Table::PrefixesOnDevice,
        ];
        const BOOKS: [Book; 2] = [Book::Own, Book::Claims];
        for filled in 0..Shape::WORDS {
            let mut words = [0; Shape::WORDS];
            words[filled] = 1 << 31;
            let in_use = Shape::from_words(words).in_use();
            for (book, at) in BOOKS.into_iter().zip([0, 6]) {
                assert_eq!(in_use.any(book), (at..at + 6).contains(&filled));
                for (table, at) in TABLES.into_iter().zip(at..) {
                    assert_eq!(in_use.has(book, table), at == filled);
                }
            }
        }
    }
}
