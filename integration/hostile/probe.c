/* Tries what a hostile program would try in its container, one thing a call, and says whether it was refused.
   Arguments are such that nothing happens where it is allowed. Exit code 0: allowed. 1: refused. 2: no such probe. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long descriptor_of(int pid) {
    long handle = syscall(434 /* pidfd_open */, pid, 0);
    return handle < 0 ? handle : syscall(438 /* pidfd_getfd */, handle, 1, 0);
}

static long memory_of(int pid) {
    char here[1];
    struct iovec to = {here, 1}, from = {(void *)1, 1};
    return process_vm_readv(pid, &to, 1, &from, 1, 0);
}

static long open_by_handle(void) {
    struct { unsigned bytes; int type; unsigned char handle[8]; } root = {8, 1, {2}};
    return syscall(SYS_open_by_handle_at, open("/tmp/exercise", O_RDONLY), &root, O_RDONLY);
}

static long join_namespace(void) {
    int space = open("/proc/1/ns/mnt", O_RDONLY);
    return space < 0 ? space : setns(space, 0);
}

static long attempt(const char *what, int pid) {
    struct timespec never = {0, -1};
    if (!strcmp(what, "ptrace")) return ptrace(PTRACE_ATTACH, pid, 0, 0);
    if (!strcmp(what, "memory")) return memory_of(pid);
    if (!strcmp(what, "descriptor")) return descriptor_of(pid);
    if (!strcmp(what, "become_root")) return setuid(0);
    if (!strcmp(what, "user_namespace")) return unshare(CLONE_NEWUSER);
    if (!strcmp(what, "mount_namespace")) return unshare(CLONE_NEWNS);
    if (!strcmp(what, "network_namespace")) return unshare(CLONE_NEWNET);
    if (!strcmp(what, "join_namespace")) return join_namespace();
    if (!strcmp(what, "mount")) return mount("none", "/tmp", "tmpfs", 0, 0);
    if (!strcmp(what, "remount")) return mount(0, "/tmp/exercise", 0, MS_REMOUNT | MS_BIND, 0);
    if (!strcmp(what, "unmount")) return umount2("/tmp/exercise", MNT_DETACH);
    if (!strcmp(what, "new_mount_api")) return syscall(430 /* fsopen */, "tmpfs", 0);
    if (!strcmp(what, "pivot_root")) return syscall(SYS_pivot_root, "/no", "/no");
    if (!strcmp(what, "chroot")) return chroot("/tmp");
    if (!strcmp(what, "raw_socket")) return socket(AF_INET, SOCK_RAW, 1);
    if (!strcmp(what, "packet_socket")) return socket(AF_PACKET, SOCK_RAW, 0);
    if (!strcmp(what, "keyring")) return syscall(SYS_add_key, "user", "x", "y", 1, -2);
    if (!strcmp(what, "bpf")) return syscall(SYS_bpf, 0, 0, 0);
    if (!strcmp(what, "perf")) return syscall(SYS_perf_event_open, 0, 0, -1, -1, 0);
    if (!strcmp(what, "kexec")) return syscall(SYS_kexec_load, 0, 0, 0, ~0ul);
    if (!strcmp(what, "kernel_module")) return syscall(SYS_init_module, 0, 0, 0);
    if (!strcmp(what, "clock")) return syscall(SYS_clock_settime, CLOCK_REALTIME, &never);
    if (!strcmp(what, "reboot")) return syscall(SYS_reboot, 0, 0, 0, 0);
    if (!strcmp(what, "swap")) return syscall(SYS_swapon, "/no", 0);
    if (!strcmp(what, "host_name")) return syscall(SYS_sethostname, "", -1);
    if (!strcmp(what, "open_by_handle")) return open_by_handle();
    if (!strcmp(what, "ports")) return syscall(SYS_iopl, 3);
    if (!strcmp(what, "device")) return mknod("/tmp/device", 0060600, 0x0800);
    if (!strcmp(what, "owner")) return chown("/bin/busybox", 1, 1);
    if (!strcmp(what, "other_user")) return setuid(1);
    if (!strcmp(what, "other_group")) return setgid(1);
    if (!strcmp(what, "kernel_log")) return syscall(SYS_syslog, 3, 0, 0);
    if (!strcmp(what, "userfault")) return syscall(SYS_userfaultfd, 0);
    fprintf(stderr, "what is %s?\n", what);
    exit(2);
}

int main(int count, char **words) {
    if (count < 2) return 2;
    errno = 0;
    long result = attempt(words[1], count > 2 ? atoi(words[2]) : 0);
    int refused = result < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS);
    fprintf(stderr, "%s: %s (%s)\n", words[1], refused ? "refused" : "allowed", strerror(errno));
    return refused;
}
