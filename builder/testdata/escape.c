/*
 * What a hostile build may try, one attempt after the other. Each line that is
 * printed names an attempt and what became of it: "refused" with the error,
 * or "ESCAPED". Run as: escape HOST_PORT HOST_SOCKET HOST_PID HOST_FILE...
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_alg.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *name, long result)
{
	if (result < 0)
		printf("%s: refused (%s)\n", name, strerror(errno));
	else
		printf("%s: ESCAPED\n", name);
	fflush(stdout);
}

#define TRY(name, call) (errno = 0, told(name, (long)(call)))

static int opens(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK);
	char byte;

	if (fd < 0)
		return -1;
	/* A masked file opens as /dev/null, which has nothing to tell. */
	if ((flags & O_ACCMODE) == O_RDONLY && read(fd, &byte, 1) <= 0) {
		errno = errno ? errno : ENODATA;
		return -1;
	}
	return fd;
}

static int connects(int family, const void *address, socklen_t length)
{
	int fd = socket(family, SOCK_STREAM, 0);

	return fd < 0 ? -1 : connect(fd, address, length);
}

static int tcp(const char *host, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, host, &a.sin_addr);
	return connects(AF_INET, &a, sizeof a);
}

static int local(const char *name, int abstract)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strncpy(a.sun_path + abstract, name, sizeof a.sun_path - 2);
	return connects(AF_UNIX, &a, offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name));
}

static int resolves(const char *name)
{
	struct addrinfo *found;

	errno = ENOENT;
	return getaddrinfo(name, "80", NULL, &found) == 0 ? 0 : -1;
}

static int in_child(int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(attempt() < 0 ? (errno ? errno : 255) : 0);
	waitpid(pid, &status, 0);
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

static int nothing(void *unused) { (void)unused; return 0; }

static int clones(void)
{
	static char stack[65536];

	return clone(nothing, stack + sizeof stack, CLONE_NEWUSER | SIGCHLD, NULL);
}

static int clones3(void)
{
	/* struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, ... */
	unsigned long long args[11] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
	long pid = syscall(SYS_clone3, args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid;
}

static int new_user(void) { return unshare(CLONE_NEWUSER); }
static int new_mounts(void) { return unshare(CLONE_NEWNS); }
static int new_network(void) { return unshare(CLONE_NEWNET); }
static int new_pids(void) { return unshare(CLONE_NEWPID); }
static int root_user(void) { return setuid(0); }
static int root_group(void) { return setgid(0); }
static int root_groups(void) { gid_t g = 0; return setgroups(1, &g); }
static int weak_memory(void) { return personality(READ_IMPLIES_EXEC); }
static int ambient(void) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0); }
static int new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0); }

static int more_files(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };

	return setrlimit(RLIMIT_NOFILE, &r);
}

static int cores(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };

	return setrlimit(RLIMIT_CORE, &r);
}

static int real_time(void)
{
	struct sched_param p = { 1 };

	return sched_setscheduler(0, SCHED_FIFO, &p);
}

static int oom_safe(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	return fd < 0 ? -1 : write(fd, "-1000", 5) == 5 ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct { unsigned size, type; char file[8]; } handle = { 8, 1, { 2 } };
	char attributes[128] = { 0 };
	struct timeval now;
	int i;

	if (argc < 5)
		return 2;

	TRY("tcp to the host's loopback", tcp("127.0.0.1", atoi(argv[1])));
	TRY("tcp to the cloud's metadata", tcp("169.254.169.254", 80));
	TRY("tcp to the world", tcp("192.0.2.1", 80));
	TRY("an abstract socket of the host", local(argv[2], 1));
	TRY("the host's container engine", local("/var/run/docker.sock", 0));
	TRY("the host's message bus", local("/run/dbus/system_bus_socket", 0));
	TRY("a name server", resolves("example.org"));
	TRY("a packet socket", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("a raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	TRY("a socket to the hypervisor", socket(40 /* AF_VSOCK */, SOCK_STREAM, 0));
	TRY("a socket to the kernel's ciphers", socket(AF_ALG, SOCK_SEQPACKET, 0));

	TRY("a signal to a process of the host", kill(atoi(argv[3]), 0));
	TRY("tracing a process of the host", ptrace(PTRACE_ATTACH, atoi(argv[3]), 0, 0));
	for (i = 4; i < argc; i++)
		TRY(argv[i], opens(argv[i], O_RDONLY));

	TRY("/dev/kmsg", opens("/dev/kmsg", O_RDONLY));
	TRY("/dev/mem", opens("/dev/mem", O_RDONLY));
	TRY("/dev/vda", opens("/dev/vda", O_RDONLY));
	TRY("/dev/sda", opens("/dev/sda", O_RDONLY));
	TRY("/dev/fuse", opens("/dev/fuse", O_RDWR));
	TRY("/dev/kvm", opens("/dev/kvm", O_RDWR));
	TRY("/proc/kcore", opens("/proc/kcore", O_RDONLY));
	TRY("/proc/keys", opens("/proc/keys", O_RDONLY));
	TRY("/proc/sysrq-trigger", opens("/proc/sysrq-trigger", O_WRONLY));
	TRY("/proc/sys/kernel/core_pattern", opens("/proc/sys/kernel/core_pattern", O_WRONLY));
	TRY("/proc/sys/kernel/hostname", opens("/proc/sys/kernel/hostname", O_WRONLY));
	TRY("/sys/kernel/uevent_helper", opens("/sys/kernel/uevent_helper", O_RDWR));
	TRY("/sys/kernel/security", opens("/sys/kernel/vmcoreinfo", O_RDONLY));
	TRY("/sys/power/state", opens("/sys/power/state", O_WRONLY));
	TRY("a group's limits", opens("/sys/fs/cgroup/memory/memory.limit_in_bytes", O_WRONLY));
	TRY("the image's passwords", opens("/etc/shadow", O_RDONLY));
	TRY("the image's users", opens("/etc/passwd", O_WRONLY));
	TRY("a program of the image", opens("/usr/bin/rpmbuild", O_WRONLY));
	TRY("a new program in the image", open("/usr/bin/new", O_CREAT | O_WRONLY, 0755));

	TRY("a disk's node", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
	TRY("a memory's node", mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
	TRY("an owner", chown("/tmp", 0, 0) < 0 ? -1 : 0);
	TRY("a hard link to another's file", link("/etc/shadow", "/tmp/shadow"));
	TRY("chroot", chroot("/tmp"));

	TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	TRY("bind", mount("/", "/tmp", NULL, MS_BIND, NULL));
	TRY("remount", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("umount", umount2("/proc/kcore", MNT_DETACH));
	TRY("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
	TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	TRY("unshare user", in_child(new_user));
	TRY("unshare mount", in_child(new_mounts));
	TRY("unshare network", in_child(new_network));
	TRY("unshare pid", in_child(new_pids));
	TRY("clone user", in_child(clones));
	TRY("clone3 user", in_child(clones3));
	TRY("setns", syscall(SYS_setns, open("/proc/1/ns/pid", O_RDONLY), 0));

	TRY("setuid", in_child(root_user));
	TRY("setgid", in_child(root_group));
	TRY("setgroups", in_child(root_groups));
	TRY("ambient capability", in_child(ambient));
	TRY("new privileges", in_child(new_privileges));
	TRY("weak memory", in_child(weak_memory));
	TRY("more open files", in_child(more_files));
	TRY("core files", in_child(cores));
	TRY("real time", in_child(real_time));
	TRY("safety from the kernel's killer", in_child(oom_safe));

	TRY("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
	TRY("request_key", syscall(SYS_request_key, "user", "x", NULL, 0));
	TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	TRY("bpf", syscall(SYS_bpf, 0, attributes, sizeof attributes));
	TRY("perf_event_open", syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
	TRY("io_uring", syscall(SYS_io_uring_setup, 1, attributes));
	TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, 0));
	TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	TRY("init_module", syscall(SYS_init_module, "", 0, ""));
	TRY("finit_module", syscall(SYS_finit_module, 0, "", 0));
	TRY("delete_module", syscall(SYS_delete_module, "none", 0));
	TRY("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	TRY("syslog", syscall(SYS_syslog, 10, NULL, 0));
	TRY("acct", syscall(SYS_acct, NULL));
	TRY("swapon", syscall(SYS_swapon, "/tmp/none", 0));
	TRY("fanotify", syscall(SYS_fanotify_init, 0, 0));
	TRY("host name", sethostname("x", 1));
	gettimeofday(&now, NULL);
	TRY("clock", settimeofday(&now, NULL));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
	puts("done");
	return 0;
}
