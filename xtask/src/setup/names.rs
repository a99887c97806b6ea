//! What the tools for eBPF are called, and where they are.

/// The name that rustup knows the prebuilt compiler by; arpguard's build script asks for it.
pub(super) const TOOLCHAIN: &str = "bpf";
/// Where Debian's compiler is.
pub(super) const PREFIX: &str = "/usr";
/// The release of bpf-linker that compiles with the oldest Rust that arpguard does.
pub(super) const LINKER_VERSION: &str = "0.13.0";
/// Debian's compiler with a `core` for eBPF: neither nightly nor the library's source is needed.
pub(super) const COMPILER: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
/// What LLVM is linked with.
pub(super) const LIBRARIES: [&str; 2] = ["libzstd-dev", "zlib1g-dev"];
/// Packages that apt would have to remove for [`COMPILER`].
pub(super) const RIVALS: [&str; 2] = ["rustc", "rustup"];
/// The LLVM of Debian's compiler, as long as that is not there to be asked.
pub(super) const LLVM: u32 = 22;
