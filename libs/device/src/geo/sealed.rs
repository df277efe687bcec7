//! A private copy of a file that nothing can change any more, mapped into memory.
//!
//! Mapping the operator's file itself would be quicker, and wrong: whoever truncates it kills every
//! process that reads it (`SIGBUS`), and whoever overwrites it changes bytes that Rust was promised
//! to be constant. Update scripts do both. So the bytes are copied, by the kernel, into a file
//! without a name (`memfd_create`), and that one is sealed before it is mapped: from then on the
//! kernel refuses to write, shrink or grow it, to us as to anybody else.

use std::fs::File;
use std::io::{self, Read};

/// The copy's bytes.
#[cfg(target_os = "linux")]
pub(super) type Bytes = memmap2::Mmap;

/// The copy's bytes. Without seals there is no mapping that is sound, so they are read.
#[cfg(not(target_os = "linux"))]
pub(super) type Bytes = Vec<u8>;

/// Copies what is left of `source`, at most `bytes_max`.
#[cfg(target_os = "linux")]
pub(super) fn copy(source: &File, bytes_max: u64) -> io::Result<Bytes> {
    use rustix::fs::{SealFlags, fcntl_add_seals};

    let mut copy = nameless()?;
    io::copy(&mut source.take(bytes_max), &mut copy)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals)?;
    map(&copy)
}

/// Reads what is left of `source`, at most `bytes_max`.
#[cfg(not(target_os = "linux"))]
pub(super) fn copy(source: &File, bytes_max: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    source.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An empty file in memory that has no name and may be sealed.
#[cfg(target_os = "linux")]
fn nameless() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::io::Errno;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Some machines refuse files that could be made executable; kernels before 6.3 don't know how
    // to say that this one can't.
    let file = match memfd_create(c"geoip", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(c"geoip", flags)?,
        made => made?,
    };
    Ok(File::from(file))
}

/// Maps the whole of `sealed`, to be read.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "mapping a file is unsafe because files change; a sealed one can't"
)]
fn map(sealed: &File) -> io::Result<Bytes> {
    use memmap2::MmapOptions;

    // Private, because kernels before 6.7 count a shared mapping of what was opened for writing as
    // one that may write, and the seal forbids those. The pages are the file's own all the same.
    //
    // SAFETY: the mapping is sound as long as its file is neither changed nor truncated. Its only
    // caller made this file itself, has sealed it against writing, shrinking and growing (and
    // against further seals) and would have failed there if the kernel hadn't agreed. Seals belong
    // to the file and not to a descriptor, and can't be taken off; they also refuse punching holes.
    // Should writable mappings exist, sealing against writing fails. All its pages were written and
    // are in memory (or swap), so reading them needs no disk file that could be gone.
    unsafe { MmapOptions::new().map_copy_read_only(sealed) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::{Seek, SeekFrom, Write};

    use rustix::fs::{SealFlags, fcntl_add_seals, fcntl_get_seals};

    use super::*;

    #[test]
    fn a_copy_stays_as_it_was_whatever_becomes_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let original = vec![7; 100_000];
        fs::write(&path, &original).unwrap();
        let copied = copy(&File::open(&path).unwrap(), u64::MAX).unwrap();
        fs::write(&path, vec![9; 100_000]).unwrap();
        assert_eq!(copied[..], original[..]);
        File::create(&path).unwrap();
        assert_eq!(copied[..], original[..]);
        fs::remove_file(&path).unwrap();
        assert_eq!(copied[..], original[..]);
    }

    #[test]
    fn no_more_is_copied_than_allowed_and_nothing_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![7; 100]).unwrap();
        assert_eq!(copy(&File::open(&path).unwrap(), 10).unwrap().len(), 10);
        assert_eq!(copy(&File::open(&path).unwrap(), 0).unwrap().len(), 0);
    }

    /// What the `SAFETY` comment relies on.
    #[test]
    fn the_kernel_keeps_its_word_about_seals() {
        let mut file = nameless().unwrap();
        file.write_all(&[7; 10_000]).unwrap();
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).unwrap();
        let mapped = map(&file).unwrap();
        assert!(fcntl_get_seals(&file).unwrap().contains(seals));
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(20_000).is_err());
        file.seek(SeekFrom::Start(0)).unwrap();
        assert!(file.write_all(b"changed").is_err());
        // Another way to the same file.
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        let again = fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/self/fd/{fd}"));
        assert!(again.is_err() || again.unwrap().write_all(b"changed").is_err());
        assert_eq!(mapped[..], [7; 10_000]);
    }
}
