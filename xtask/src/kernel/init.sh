#!/bin/busybox sh
# The first process in the virtual machine. It makes the host's root the machine's own, read-only
# below a file system in memory that takes what is written, and runs the job there.
export PATH=/bin
/bin/busybox --install -s /bin

stop() {
    echo "init: $*"
    sleep 1
    reboot -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do
    insmod "$module" || stop "insmod: $module"
done

share=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "$share,ro,cache=loose" root /host || stop "mount: the host's root"
mount -t 9p -o "$share,cache=none" job /job || stop "mount: the job"
. /job/settings # MODULES, VERSION

mount -t tmpfs -o size=75% memory /memory
mkdir /memory/changes /memory/work /memory/root
mount -t overlay -o lowerdir=/host,upperdir=/memory/changes,workdir=/memory/work overlay \
    /memory/root || stop "mount: the overlay"

cd /memory/root
mkdir -p proc sys dev run
for kept in proc sys dev; do
    mount --move "/$kept" "$kept"
done
mount -t tmpfs run run
mkdir -p dev/pts dev/shm run/lock run/netns run/vm
mount -t devpts -o ptmxmode=666 devpts dev/pts
mount -t tmpfs shm dev/shm
ln -sf /proc/self/fd dev/fd
ln -sf fd/0 dev/stdin
ln -sf fd/1 dev/stdout
ln -sf fd/2 dev/stderr
# Opening it loads the module, which udev would know from `modules.devname`.
mkdir -p dev/net
mknod dev/net/tun c 10 200
mount -t bpf bpf sys/fs/bpf
mount -t cgroup2 cgroup sys/fs/cgroup
mkdir -p "lib/modules/$VERSION"
mount --bind ".$MODULES" "lib/modules/$VERSION" || stop "mount: the modules"
mount --bind /job run/vm

# What the kernel starts by itself when a kind of device or an address family is first asked for.
echo /run/vm/bin/modprobe >proc/sys/kernel/modprobe
ip link set lo up
hostname "vm"
exec switch_root . /run/vm/start
