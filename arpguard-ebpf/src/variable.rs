//! Maps of one element that the programs know the address of.
//!
//! Where the programs say variable, the loader makes an array of the variable's section, and the kernel puts the
//! address of its element into them (`BPF_PSEUDO_MAP_VALUE` in `include/uapi/linux/bpf.h`). To look the
//! element up takes ten instructions, and a branch for where it is not there; to read a variable takes one. Each
//! has a section of its own, so that it is a map of its own: [`arpguard_common::abi::map::VARIABLES`].

use core::cell::UnsafeCell;

/// Numbers that user space and programs on every CPU read and write at any time, each of them at once.
#[repr(transparent)]
pub(crate) struct Variable<N, const COUNT: usize>(UnsafeCell<[N; COUNT]>);

// SAFETY: a number is read and written at once, and nothing refers to one.
unsafe impl<N: Number, const COUNT: usize> Sync for Variable<N, COUNT> {}

/// What a processor reads and writes at once.
pub(crate) trait Number: Copy {
    const ZERO: Self;
}

impl Number for u8 {
    const ZERO: Self = 0;
}

impl Number for u32 {
    const ZERO: Self = 0;
}

impl Number for u64 {
    const ZERO: Self = 0;
}

impl<N: Number, const COUNT: usize> Variable<N, COUNT> {
    /// All zeros: the loader gives a variable no other beginning.
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new([N::ZERO; COUNT]))
    }

    /// One of the numbers; zero where there are fewer.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> N {
        match self.place(at) {
            // SAFETY: the number is there for as long as the programs are. It is volatile since whoever
            // writes it is unknown to the compiler.
            Some(place) => unsafe { place.read_volatile() },
            None => N::ZERO,
        }
    }

    /// Writes one of the numbers.
    #[inline(always)]
    pub(crate) fn set(&self, at: usize, number: N) {
        if let Some(place) = self.place(at) {
            // SAFETY: as in `get`.
            unsafe { place.write_volatile(number) }
        }
    }

    #[inline(always)]
    const fn place(&self, at: usize) -> Option<*mut N> {
        if at < COUNT {
            // SAFETY: it is one of the numbers in the array.
            Some(unsafe { self.0.get().cast::<N>().add(at) })
        } else {
            None
        }
    }
}
