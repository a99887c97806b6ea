//! Which modules have to be loaded before which.

use std::collections::HashMap;

/// The lines of `modules.dep`: a module's file, and the files of those that it needs.
#[derive(Debug)]
pub(super) struct Dependencies<'a>(HashMap<String, (&'a str, Vec<&'a str>)>);

impl<'a> Dependencies<'a> {
    /// Reads `modules.dep` (`modules.dep(5)`).
    pub(super) fn parse(text: &'a str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            lines
                .map(|(file, needs)| (name(file), (file, needs.split_whitespace().collect())))
                .collect(),
        )
    }

    /// The files of `modules` and of what they need, each after those that it needs. What is not
    /// listed is compiled into the kernel.
    pub(super) fn in_order(&self, modules: &[&str]) -> Vec<&'a str> {
        let mut order = Vec::new();
        for module in modules {
            self.add(module, &mut order);
        }
        order
    }

    fn add(&self, module: &str, order: &mut Vec<&'a str>) {
        let Some((file, needs)) = self.0.get(module) else {
            return;
        };
        if order.contains(file) {
            return;
        }
        for need in needs {
            self.add(&name(need), order);
        }
        order.push(file);
    }
}

/// A module's name, from its file's: `kernel/net/9p/9pnet_virtio.ko.xz`.
pub(super) fn name(file: &str) -> String {
    let file = file.rsplit('/').next().unwrap_or(file);
    let name = file.split(".ko").next().unwrap_or(file);
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let text = "kernel/a/top-one.ko.xz: kernel/a/middle.ko.xz kernel/a/base.ko.xz\n\
                    kernel/a/middle.ko.xz: kernel/a/base.ko.xz\n\
                    kernel/a/base.ko.xz:\n\
                    kernel/a/other.ko.xz:\n";
        let order = Dependencies::parse(text).in_order(&["base", "top_one", "built_in"]);
        assert_eq!(
            order,
            [
                "kernel/a/base.ko.xz",
                "kernel/a/middle.ko.xz",
                "kernel/a/top-one.ko.xz"
            ]
        );
    }
}
