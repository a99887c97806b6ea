//! A virtual machine that runs one job with the host's files, and ends.

use std::{
    env, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    image::Image,
    initramfs::Archive,
    modules::{self, Dependencies},
    tools::{Tool, Tools},
};

/// What the machine takes to reach the host's files.
const NEEDED: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];
/// MiB of memory, which also holds all that is written.
const MEMORY: &str = "2048";
/// How long a job may say nothing. The longest test takes a few minutes in an emulated machine.
const SILENCE: Duration = Duration::from_secs(20 * 60);
/// How many bytes of its console are shown of a machine that died.
const CONSOLE: usize = 4000;

/// Kernel parameters: what an emulated machine need not do, and no second try after a crash.
const PARAMETERS: &str = "console=ttyS0 loglevel=4 panic=-1 reboot=t mitigations=off nokaslr audit=0 \
                          random.trust_cpu=on no_timer_check tsc=reliable net.ifnames=0";

/// What is to be done in a machine.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// A script for bash.
    pub(super) script: &'a str,
    /// Programs that the script runs by name.
    pub(super) programs: &'a [&'a str],
}

/// A directory of this run's, which the machine may write to; removed at its end.
#[derive(Debug)]
struct Share(PathBuf);

impl Share {
    fn make() -> Result<Self> {
        let path = env::temp_dir().join(format!("arpguard-vm-{}", std::process::id()));
        let bin = path.join("bin");
        fs::create_dir_all(&bin).with_context(|| format!("make: {}", bin.display()))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.0.join(name);
        let written = fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
        written.with_context(|| format!("write: {}", path.display()))?;
        Ok(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // What is left over is a few files among the temporary ones.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a job under `image`: `hear` gets what it writes, as it comes. Gives its exit status.
pub(super) fn run(
    tools: &Tools,
    image: &Image,
    job: &Job,
    hear: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u8> {
    let share = Share::make()?;
    let initramfs = share.write("initramfs", &initramfs(tools, image)?)?;
    let settings = format!(
        "MODULES={} VERSION={}\n",
        quote(&image.modules().display().to_string()),
        quote(&image.version)
    );
    share.write("settings", settings.as_bytes())?;
    share.write("start", START.as_bytes())?;
    share.write("script", script(job)?.as_bytes())?;
    for (name, program) in [("modprobe", "kmod"), ("depmod", "kmod")] {
        wrap(&share, name, &tools.find(program)?)?;
    }
    for name in job.programs {
        wrap(&share, name, &tools.find(name)?)?;
    }

    let mut qemu = qemu(tools, image, &share, &initramfs)?;
    let child = qemu.spawn().context("start: QEMU: qemu-system-x86_64")?;
    let mut machine = Machine(child);
    let heard = machine.hear(hear);
    let status = machine.end()?;
    let told = fs::read_to_string(share.path("status")).unwrap_or_default();
    match (heard, told.trim().parse()) {
        (Ok(()), Ok(status)) => Ok(status),
        (Err(error), _) => Err(error.context(console(&share))),
        (Ok(()), Err(_)) => bail!(
            "run: Linux {}: the virtual machine ended in the middle of its job (QEMU: {status})\n{}",
            image.version,
            console(&share)
        ),
    }
}

/// A QEMU under way; killed when dropped.
#[derive(Debug)]
struct Machine(Child);

impl Machine {
    /// Passes on what it writes until it ends.
    fn hear(&mut self, hear: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
        let Some(mut output) = self.0.stdout.take() else {
            return Ok(());
        };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = output.read(&mut bytes) {
                let heard = bytes.get(..length).unwrap_or_default().to_vec();
                if heard.is_empty() || sender.send(heard).is_err() {
                    return;
                }
            }
        });
        loop {
            match receiver.recv_timeout(SILENCE) {
                Ok(bytes) => hear(&bytes).context("write: standard output")?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => bail!(
                    "run: the virtual machine: it has said nothing for {} minutes",
                    SILENCE.as_secs() / 60
                ),
            }
        }
    }

    /// Its end, which comes soon once its output has ended; else it is killed.
    fn end(&mut self) -> Result<ExitStatus> {
        for _ in 0..100 {
            if let Some(status) = self.0.try_wait().context("wait: QEMU")? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.0.kill().context("kill: QEMU")?;
        self.0.wait().context("wait: QEMU")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the machine starts once the host's root is its own.
const START: &str = r#"#!/bin/bash
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw -echo
bash /run/vm/script
echo $? >/run/vm/status
echo b >/proc/sysrq-trigger
sleep 60
"#;

fn script(job: &Job) -> Result<String> {
    let directory = env::current_dir().context("find: the current directory")?;
    let path = env::var("PATH").unwrap_or_default();
    Ok(format!(
        "export PATH=/run/vm/bin:{}:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8\n\
         cd {}\n{}",
        quote(&path),
        quote(&directory.display().to_string()),
        job.script
    ))
}

/// Makes `tool` runnable in the machine as `name`.
fn wrap(share: &Share, name: &str, tool: &Tool) -> Result<()> {
    let libraries = match tool.libraries.as_str() {
        "" => String::new(),
        libraries => format!("LD_LIBRARY_PATH={} ", quote(libraries)),
    };
    let text = format!(
        "#!/bin/bash\n{libraries}exec -a {name} {} \"$@\"\n",
        quote(&tool.path.display().to_string())
    );
    share
        .write(&format!("bin/{name}"), text.as_bytes())
        .map(drop)
}

fn initramfs(tools: &Tools, image: &Image) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for directory in [
        "bin", "modules", "proc", "sys", "dev", "host", "job", "memory",
    ] {
        archive.directory(directory);
    }
    archive.file("bin/busybox", &tools.read(&tools.find("busybox")?.path)?);
    archive.file("init", include_bytes!("init.sh"));
    let directory = image.modules();
    let path = directory.join("modules.dep");
    let text = fs::read_to_string(&path).with_context(|| format!("read: {}", path.display()))?;
    let order = Dependencies::parse(&text).in_order(&NEEDED);
    for (number, file) in order.iter().enumerate() {
        let module = tools.read(&directory.join(file))?;
        // The shell's pattern gives them in the order of their names.
        let name = format!("modules/{number:02}-{}", modules::name(file));
        archive.file(&name, &module);
    }
    Ok(archive.finish())
}

fn qemu(tools: &Tools, image: &Image, share: &Share, initramfs: &Path) -> Result<Command> {
    let mut qemu = tools.command("qemu-system-x86_64")?;
    for directory in tools.firmware() {
        qemu.arg("-L").arg(directory);
    }
    // Emulated, so that it runs wherever the project is built: /dev/kvm may be there and not work.
    // With a second CPU the emulation itself dies now and then.
    qemu.args(["-accel", "tcg", "-cpu", "qemu64,+rdrand", "-smp", "1"]);
    qemu.args([
        "-machine",
        "pc,usb=off,vmport=off",
        "-m",
        MEMORY,
        "-nodefaults",
    ]);
    qemu.args(["-no-user-config", "-display", "none", "-no-reboot"]);
    let console = share.path("console");
    qemu.arg("-serial")
        .arg(format!("file:{}", console.display()));
    qemu.args([
        "-chardev",
        "stdio,id=output,signal=off",
        "-serial",
        "chardev:output",
    ]);
    for (name, path, read_only) in [("root", Path::new("/"), "on"), ("job", &share.0, "off")] {
        let path = path.display();
        qemu.arg("-fsdev").arg(format!(
            "local,id={name},path={path},security_model=none,readonly={read_only},multidevs=remap"
        ));
        qemu.arg("-device")
            .arg(format!("virtio-9p-pci,fsdev={name},mount_tag={name}"));
    }
    qemu.args(["-device", "virtio-rng-pci", "-append", PARAMETERS]);
    qemu.arg("-kernel").arg(&image.file);
    qemu.arg("-initrd").arg(initramfs);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    ensure!(
        !share.path("").to_string_lossy().contains(','),
        "start: QEMU: {}: it takes no comma in a path; set TMPDIR to another directory",
        share.0.display()
    );
    Ok(qemu)
}

/// The end of what the kernel said.
fn console(share: &Share) -> String {
    let bytes = fs::read(share.path("console")).unwrap_or_default();
    let from = bytes.len().saturating_sub(CONSOLE);
    let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned();
    format!("end of its console:\n{}", text.trim_end())
}

/// `text` as one word of a shell.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_one_word() {
        let text = "a 'b' $c \\d";
        let output = Command::new("sh")
            .args(["-c", &format!("printf %s {}", quote(text))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), text);
    }
}
